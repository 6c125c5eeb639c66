package usage

import (
	"bytes"
	"encoding/json"
	"math/big"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// read reads a body, which the API has ended, in pieces of n bytes.
func read(contentType, body string, n int) (Usage, bool) {
	m := metered(contentType, body, n)
	return m.usage(true)
}

func metered(contentType, body string, n int) *meter {
	var m meter
	m.start(http.Header{"Content-Type": {contentType}})
	for p := []byte(body); len(p) > 0; {
		piece := p[:min(n, len(p))]
		m.feed(piece)
		p = p[len(piece):]
	}
	return &m
}

// checkRead checks what is read from a body, in pieces of all sizes up to 70 and as a whole.
func checkRead(t *testing.T, contentType, body string, want Usage, wantOK bool) {
	t.Helper()
	for n := 1; n <= min(len(body), 70); n++ {
		if got, ok := read(contentType, body, n); got != want || ok != wantOK {
			t.Errorf("in pieces of %d bytes: %+v, %v; want %+v, %v", n, got, ok, want, wantOK)
			return
		}
	}
	if got, ok := read(contentType, body, len(body)+1); got != want || ok != wantOK {
		t.Errorf("as a whole: %+v, %v; want %+v, %v", got, ok, want, wantOK)
	}
}

func TestJSON(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       Usage
		incomplete bool
	}{
		{name: "OpenAI, chat completion", body: chatCompletion, want: Usage{Input: 6, Output: 10, CacheRead: 13}},
		{name: "OpenAI, response", body: response, want: Usage{Input: 36, Output: 87}},
		{name: "Anthropic, message", body: anthropicMessage, want: Usage{Input: 2095, Output: 503, CacheRead: 40, CacheWrite: 2051}},
		{name: "embedding", body: `{"object":"list","data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":8,"total_tokens":8}}`, want: Usage{Input: 8}},
		{name: "a total alone", body: `{"usage":{"total_tokens":35}}`, want: Usage{Input: 35}},
		{name: "reasoning in the total alone", body: `{"usage":{"prompt_tokens":20,"completion_tokens":424,"total_tokens":1016}}`, want: Usage{Input: 20, Output: 996}},
		{name: "a total that is too small", body: `{"usage":{"prompt_tokens":20,"completion_tokens":4,"total_tokens":1}}`, want: Usage{Input: 20, Output: 4}},
		{name: "both families, one zero", body: `{"usage":{"prompt_tokens":7,"completion_tokens":3,"input_tokens":0,"output_tokens":0}}`, want: Usage{Input: 7, Output: 3}},
		{name: "OpenAI's names with those of Anthropic's cache", body: `{"usage":{"prompt_tokens":100,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":20},"cache_read_input_tokens":60,"cache_creation_input_tokens":20}}`, want: Usage{Input: 20, Output: 3, CacheRead: 60, CacheWrite: 20}},
		{name: "more cached than there is", body: `{"usage":{"prompt_tokens":5,"prompt_tokens_details":{"cached_tokens":9}}}`, want: Usage{CacheRead: 9}},
		{name: "zeros", body: `{"usage":{"input_tokens":0,"output_tokens":0}}`},

		{name: "no usage", body: `{"error":{"message":"no"}}`, incomplete: true},
		{name: "null", body: `{"usage":null}`, incomplete: true},
		{name: "empty", body: `{"usage":{}}`, incomplete: true},
		{name: "no body", body: ``, incomplete: true},
		{name: "not an object", body: `{"usage":[{"input_tokens":1}]}`, incomplete: true},
		{name: "not numbers", body: `{"usage":{"input_tokens":"1","output_tokens":null,"total_tokens":[2],"prompt_tokens":{"input_tokens":3},"completion_tokens":true}}`, incomplete: true},
		{name: "in an array", body: `[{"usage":{"input_tokens":1}}]`, incomplete: true},
		{name: "in an event's place", body: `{"response":{"usage":{"input_tokens":1}},"message":{"usage":{"input_tokens":1}}}`, incomplete: true},
		{name: "deeper", body: `{"a":{"usage":{"input_tokens":1}},"b":[{"usage":{"input_tokens":1}}],"usage":{"usage":{"input_tokens":1},"b":{"input_tokens":1}}}`, incomplete: true},
		{name: "a details object elsewhere", body: `{"prompt_tokens_details":{"cached_tokens":1},"usage":{"completion_tokens_details":{"cached_tokens":1}}}`, incomplete: true},
		{name: "not in usage", body: `{"input_tokens":1,"total_tokens":2}`, incomplete: true},
		{name: "names in capitals", body: `{"Usage":{"input_tokens":1},"usage":{"INPUT_TOKENS":1}}`, incomplete: true},
		{name: "longer names", body: `{"usage":{"input_tokens_":1,"cache_creation_input_tokens_of_the_last_year":2},"usage2":{"input_tokens":1}}`, incomplete: true},
		{name: "a name with a zero", body: `{"usage":{"input_tokens\u0000":1,"input_token\\s":1,"\u00e9input_tokens":1}}`, incomplete: true},
		{name: "names that look alike", body: "{\"\\u0175sage\":{\"input_tokens\":1},\"\xef\xbb\xbfusage\":{\"input_tokens\":1},\"us\\\\age\":{\"input_tokens\":1}}", incomplete: true},
		{name: "a broken number", body: `{"usage":{"input_tokens":12x,"output_tokens":1}}`, incomplete: true},
		{name: "a broken escape", body: `{"\u00gz":1,"usage":{"input_tokens":12}}`, incomplete: true},
		{name: "in a text", body: `{"text":"{\"usage\":{\"input_tokens\":1}}","\"usage\":{\"input_tokens\":1}":"\\"}`, incomplete: true},
		{name: "text that looks like more", body: `{"a":"\\","usage":{"input_tokens":4,"t":"},\"output_tokens\":5\\"},"z":"\\\""}`, want: Usage{Input: 4}},
		{name: "after a broken text", body: `{"a":x"}],"usage":{"input_tokens":1}}`, incomplete: true},
		{name: "after the document", body: `{"usage":{"input_tokens":1}} {"usage":{"input_tokens":2}}`, want: Usage{Input: 1}},

		{name: "escaped names", body: `{"\u0075sag\u0065":{"input\u005Ftokens":4}}`, want: Usage{Input: 4}},
		{name: "whitespace", body: "\xef\xbb\xbf \r\n\t{ \"usage\" :\n{\t\"input_tokens\"\r: 4 , \"output_tokens\":5\n}\n}\n", want: Usage{Input: 4, Output: 5}},
		{name: "twice", body: `{"usage":{"input_tokens":1,"output_tokens":9,"input_tokens":2},"usage":{"input_tokens":3},"usage":null}`, want: Usage{Input: 3, Output: 9}},
		{name: "twice, the last is no count", body: `{"usage":{"input_tokens":1,"input_tokens":-2,"input_tokens":null}}`, want: Usage{Input: 1}},
		{name: "negative", body: `{"usage":{"input_tokens":-1,"output_tokens":-0}}`, incomplete: true},
		{name: "fractions", body: `{"usage":{"input_tokens":12.0,"output_tokens":12.0001}}`, want: Usage{Input: 12, Output: 13}},
		{name: "exponents", body: `{"usage":{"input_tokens":1e3,"output_tokens":1E+3,"total_tokens":1.5e-3}}`, incomplete: true},
		{name: "huge", body: `{"usage":{"input_tokens":` + strings.Repeat("9", 400) + `,"output_tokens":1000000000000.5,"cache_read_input_tokens":9223372036854775808}}`, want: Usage{Input: maxCount, Output: maxCount, CacheRead: maxCount}},
		{name: "cut off in a number", body: `{"usage":{"input_tokens":12,"output_tokens":12`, want: Usage{Input: 12}, incomplete: true},
		{name: "cut off after it", body: `{"usage":{"input_tokens":12,"output_tokens":12}`, want: Usage{Input: 12, Output: 12}, incomplete: true},
		{name: "malformed after it", body: `{"usage":{"input_tokens":12,"output_tokens":12}]`, want: Usage{Input: 12, Output: 12}, incomplete: true},
		{name: "an event's type", body: `{"type":"message_start","usage":{"input_tokens":12}}`, want: Usage{Input: 12}},
		{name: "deep", body: `{"a":` + strings.Repeat(`[{"a":`, 5000) + `1` + strings.Repeat(`}]`, 5000) + `,"usage":{"input_tokens":4}}`, want: Usage{Input: 4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkRead(t, "application/json; charset=utf-8", c.body, c.want, !c.incomplete)
		})
	}
}

// TestScannerMemory checks that the memory for a response is bounded: nothing in a meter
// grows.
func TestScannerMemory(t *testing.T) {
	long := []byte(strings.Repeat(`{"usage":[{"\"`, 1000))
	var m meter
	m.start(http.Header{"Content-Type": {"application/json"}})
	if n := testing.AllocsPerRun(100, func() { m.feed(long) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// reference reads a valid document as encoding/json does. It finds the numbers at the known
// paths, each the last of its name.
func reference(t *testing.T, text []byte, paths map[string]field) (Usage, bool) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var c counts
	var kind string
	var inner, outer bool
	var walk func(path string)
	token := func() json.Token {
		v, err := decoder.Token()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		return v
	}
	walk = func(path string) {
		switch v := token().(type) {
		case json.Delim:
			for decoder.More() {
				member := path + ".[]"
				if v == '{' {
					name, ok := token().(string)
					if !ok || strings.Contains(name, ".") {
						name = "-"
					}
					member = path + "." + name
				}
				walk(member)
			}
			token()
		case json.Number:
			if f := paths[path]; f != noField && !strings.ContainsAny(v.String(), "-eE") {
				n, ok := new(big.Rat).SetString(v.String())
				if !ok {
					t.Fatalf("%q is no number", v)
				}
				up := new(big.Int).Add(n.Num(), new(big.Int).Sub(n.Denom(), big.NewInt(1)))
				if up.Quo(up, n.Denom()); up.Cmp(big.NewInt(maxCount)) > 0 {
					up.SetInt64(maxCount)
				}
				c.set(f, up.Int64())
				outer = outer || strings.HasPrefix(path, ".usage.")
				inner = inner || !strings.HasPrefix(path, ".usage.")
			}
		case string:
			if path == ".type" {
				kind = v
			}
		}
	}
	walk("")
	return c.usage(), outer || inner && slices.Contains([]string{"response.completed", "response.incomplete", "response.failed"}, kind)
}

// singlePaths and eventPaths are where the numbers of a document and of an event are.
var singlePaths, eventPaths = func() (single, event map[string]field) {
	single, event = map[string]field{}, map[string]field{}
	for path, f := range map[string]field{
		".usage.prompt_tokens": promptTokens, ".usage.completion_tokens": completionTokens, ".usage.total_tokens": totalTokens,
		".usage.input_tokens": inputTokens, ".usage.output_tokens": outputTokens,
		".usage.prompt_tokens_details.cached_tokens": cachedTokens, ".usage.input_tokens_details.cached_tokens": cachedTokens,
		".usage.prompt_tokens_details.cache_write_tokens": cacheWriteTokens, ".usage.input_tokens_details.cache_write_tokens": cacheWriteTokens,
		".usage.cache_read_input_tokens": cacheReadInput, ".usage.cache_creation_input_tokens": cacheCreationInput,
	} {
		single[path], event[path], event[".message"+path], event[".response"+path] = f, f, f, f
	}
	return single, event
}()

// FuzzScanner checks that the usage does not depend on how a body is cut into pieces, and
// that it is what encoding/json reads if the body is valid JSON.
func FuzzScanner(f *testing.F) {
	for _, body := range []string{chatCompletion, response, anthropicMessage, `{"\u0075sage":{"total_tokens":1.50,"input_tokens":-1,"input_tokens":2e1}}`, `{"message":{"usage":{"input_tokens":1}}}`, `{"response":{"usage":{"input_tokens":1}},"type":"response\u002efailed"}`, "\xef\xbb\xbf[]"} {
		f.Add([]byte(body), byte(7), false)
	}
	for _, body := range []string{chatStream, responseStream, anthropicStream, "data:{\"usage\":\rdata: {\"input_tokens\":1}}\r\n\r\n:x\n\ndata"} {
		f.Add([]byte(body), byte(5), true)
	}
	f.Fuzz(func(t *testing.T, body []byte, size byte, isStream bool) {
		contentType := "application/json"
		if isStream {
			contentType = "text/event-stream"
		}
		want, wantOK := read(contentType, string(body), len(body)+1)
		for _, n := range []int{1, max(int(size), 2)} {
			if got, ok := read(contentType, string(body), n); got != want || ok != wantOK {
				t.Errorf("in pieces of %d bytes: %+v, %v; as a whole %+v, %v", n, got, ok, want, wantOK)
			}
		}
		if u, ok := metered(contentType, string(body), len(body)+1).usage(false); u != want || ok && !wantOK {
			t.Errorf("cut off: %+v, %v; whole %+v, %v", u, ok, want, wantOK)
		}
		if want.Input < 0 || want.Output < 0 || want.CacheRead < 0 || want.CacheWrite < 0 || want.Total() < 0 {
			t.Errorf("negative: %+v", want)
		}
		if !json.Valid(body) {
			return
		}
		got, ok := read("application/json", string(body), len(body))
		if want, wantOK := reference(t, body, singlePaths); got != want || ok != wantOK {
			t.Errorf("%+v, %v; encoding/json reads %+v, %v", got, ok, want, wantOK)
		}
		data := "data: " + strings.NewReplacer("\r", "\rdata:", "\n", "\ndata:").Replace(string(body)) + "\n\n"
		got, ok = read("text/event-stream", data, len(data))
		if want, wantOK := reference(t, body, eventPaths); got != want || ok != wantOK {
			t.Errorf("as an event: %+v, %v; encoding/json reads %+v, %v", got, ok, want, wantOK)
		}
	})
}

// TestGenerated compares documents made of the names and values that matter with the reading
// of encoding/json.
func TestGenerated(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	var object func(depth int) string
	value := func(name string, depth int) string {
		switch kind := random.IntN(10); {
		case depth < 5 && (kind == 0 || kind < 8 && slices.Contains([]string{"usage", "message", "response", "input_tokens_details"}, name)):
			return object(depth)
		case depth < 5 && kind == 1:
			return "[" + object(depth) + pick(",", " ,\n") + object(depth) + "]"
		}
		return pick("1", "20", "3.5", "-4", "5e1", "null", "true", `"6"`, `"{\"usage\":{"`, `"\\"`, "[]", "{}")
	}
	object = func(depth int) string {
		var members []string
		for range 1 + random.IntN(3) {
			name := pick("usage", "usage", "usage", "message", "response", `us\u0061ge`, `usage\n`, "a")
			if depth > 0 && random.IntN(3) > 0 {
				name = pick("prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "prompt_tokens_details", "input_tokens_details",
					"cached_tokens", "cache_write_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation_input_tokens_and_more")
			}
			members = append(members, pick("", " ")+`"`+name+`"`+pick(":", " : ")+value(name, depth+1))
			if random.IntN(4) == 0 {
				members = append(members, `"type":`+pick(`"response.completed"`, `"response.\u0069ncomplete"`, `"response.failed"`, `"response.completed\n"`, `"message_stop"`, "1"))
			}
		}
		return "{" + strings.Join(members, ",") + pick("", "\r\n") + "}"
	}
	found := 0
	for range 6_000 {
		body := object(0)
		want, wantOK := reference(t, []byte(body), singlePaths)
		if got, ok := read("application/json", body, 1+random.IntN(50)); got != want || ok != wantOK {
			t.Fatalf("%s\n%+v, %v; encoding/json reads %+v, %v", body, got, ok, want, wantOK)
		}
		want, wantOK = reference(t, []byte(body), eventPaths)
		if got, ok := read("text/event-stream", "data:"+strings.NewReplacer("\r\n", "\r\ndata:", "\n", "\ndata: ").Replace(body)+"\n\n", 1+random.IntN(50)); got != want || ok != wantOK {
			t.Fatalf("as an event: %s\n%+v, %v; encoding/json reads %+v, %v", body, got, ok, want, wantOK)
		}
		if wantOK && want.Total() > 0 {
			found++
		}
	}
	if found < 400 {
		t.Errorf("only %d documents have a usage", found)
	}
}

func BenchmarkScanner(b *testing.B) {
	for _, c := range []struct{ name, contentType, body string }{
		{"json", "application/json", strings.Replace(chatCompletion, "TEXT", strings.Repeat(`Hello there, \"you\". How are you?\n`, 900), 1)},
		{"stream", "text/event-stream", strings.Repeat(chatStream, 30)},
	} {
		b.Run(c.name, func(b *testing.B) {
			body := []byte(c.body)
			var m meter
			m.start(http.Header{"Content-Type": {c.contentType}})
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				m.stream.scanner.reset()
				m.feed(body)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(float64(len(body))/1024), "ns/KB")
		})
	}
}
