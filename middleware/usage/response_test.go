package usage_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/usage"
)

// proxyTo starts a ReverseProxy to an upstream.
func proxyTo(t *testing.T, upstream string, r usage.Report) *httptest.Server {
	t.Helper()
	target, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ModifyResponse: r.ModifyResponse,
	})
	t.Cleanup(s.Close)
	return s
}

// captureLog returns a function that returns what was logged.
func captureLog(t *testing.T) func() string {
	var mu sync.Mutex
	var text bytes.Buffer
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return text.Write(p)
	}), nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return text.String()
	}
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// upstream starts a server that answers with a body, in the type that the path says.
func upstream(t *testing.T, body string, f func(w http.ResponseWriter)) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/json":
			w.Header().Set("Content-Type", "application/json")
		case "/stream":
			w.Header().Set("Content-Type", "text/event-stream")
		case "/gzip":
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "br")
		}
		_, _ = io.WriteString(w, body)
		if f != nil {
			f(w)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// TestProxy: the bytes and headers of a response are the same with and without a proxy.
func TestProxy(t *testing.T) {
	long := `{"text":"` + strings.Repeat(`\"usage\" \ud83d`, 50_000) + `","usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}`
	for _, c := range []struct {
		path, body string
		want       report
	}{
		{"/json", document, report{"/json", seven, true}},
		{"/json", long, report{"/json", seven, true}},
		{"/json", "", report{"/json", usage.Usage{}, false}},
		{"/stream", strings.Repeat(": nothing\r\n", 10_000) + stream, report{"/stream", seven, true}},
		{"/text", document, report{"/text", usage.Usage{}, false}},
		{"/gzip", document, report{"/gzip", usage.Usage{}, false}},
	} {
		r := newReports()
		from := upstream(t, c.body, nil)
		direct, text := get(t, from.URL+c.path)
		proxied, same := get(t, proxyTo(t, from.URL, r.add).URL+c.path)
		if sha256.Sum256([]byte(text)) != sha256.Sum256([]byte(same)) || proxied != direct {
			t.Errorf("%s: %d bytes with a length of %d became %d with %d", c.path, len(text), direct, len(same), proxied)
		}
		r.check(t, c.want)
	}
}

// TestProxyStream: each event passes when the upstream flushes it.
func TestProxyStream(t *testing.T) {
	r, got := newReports(), make(chan bool)
	from := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, part := range []string{"", stream[:9], stream[9:]} {
			_, _ = io.WriteString(w, part)
			_ = http.NewResponseController(w).Flush()
			<-got
		}
	}))
	defer from.Close()
	readInTime(t, proxyTo(t, from.URL, r.add).URL, got)
	r.check(t, report{"/", seven, true})
}

// TestHandlerAroundProxy: a Handler around a proxy sees what the ModifyResponse of the proxy
// sees, also if a timer flushes.
func TestHandlerAroundProxy(t *testing.T) {
	outer, inner := newReports(), newReports()
	from := upstream(t, stream, nil)
	target, err := url.Parse(from.URL)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(usage.Report(outer.add).Handler(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval:  time.Microsecond,
		ModifyResponse: usage.Report(inner.add).ModifyResponse,
	}))
	defer s.Close()
	for _, path := range []string{"/stream", "/json", "/text"} {
		want := report{path: path}
		if path == "/stream" {
			want = report{path, seven, true}
		}
		if _, text := get(t, s.URL+path); text != stream {
			t.Errorf("the body is %q", text)
		}
		inner.check(t, want)
		outer.check(t, want)
	}
}

// TestProxyAbort: if the client disconnects, what came until then is reported. It is complete only
// after an event that ends the response: a client must not choose the tokens that it has used.
func TestProxyAbort(t *testing.T) {
	const start = `data: {"type":"message_start","message":{"usage":{"input_tokens":3,"output_tokens":4}}}` + "\n\n"
	for body, ok := range map[string]bool{start: false, stream: false, stream + done: true} {
		abort(t, body, ok)
	}
}

// abort makes a client disconnect when it has read all of body.
func abort(t *testing.T, body string, ok bool) {
	t.Helper()
	r, end := newReports(), make(chan bool)
	from := upstream(t, body, func(w http.ResponseWriter) {
		_ = http.NewResponseController(w).Flush()
		<-end
	})
	defer close(end)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, proxyTo(t, from.URL, r.add).URL+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.ReadFull(response.Body, make([]byte, len(body))); err != nil {
		t.Fatal(err)
	}
	if len(r) > 0 {
		t.Error("reported before the end")
	}
	cancel()
	r.check(t, report{"/stream", seven, ok})
}

// TestProxyUpgrade: an upgraded connection works, and has no usage.
func TestProxyUpgrade(t *testing.T) {
	var r usage.Usage
	reported := 0
	conn := struct {
		io.Reader
		io.WriteCloser
	}{}
	response := &http.Response{StatusCode: http.StatusSwitchingProtocols, Header: http.Header{"Content-Type": {"application/json"}}, Body: conn}
	err := usage.Report(func(_ *http.Request, u usage.Usage, ok bool) {
		if r = u; ok {
			t.Error("a usage was found")
		}
		reported++
	}).ModifyResponse(response)
	if err != nil || reported != 1 || response.Body != conn || r != (usage.Usage{}) {
		t.Errorf("%d reports, %v, body %T, %v", reported, r, response.Body, err)
	}
}

// TestUnreadBody: a body that cannot be read stays as it is, and false is reported at once.
func TestUnreadBody(t *testing.T) {
	for _, header := range []http.Header{{}, {"Content-Type": {"text/html"}}, {"Content-Type": {"application/json"}, "Content-Encoding": {"gzip"}}} {
		r := newReports()
		response := &http.Response{StatusCode: http.StatusOK, Header: header, Body: http.NoBody, Request: to("/e")}
		if err := usage.Report(r.add).ModifyResponse(response); err != nil || response.Body != http.NoBody {
			t.Errorf("%v: %v, the body is %T", header, err, response.Body)
		}
		r.check(t, report{path: "/e"})
	}
}

// TestBodyEnds: a body reports once, at the first of a failed read and Close.
func TestBodyEnds(t *testing.T) {
	broken := errors.New("broken")
	type test struct {
		kind, body string
		end        func(body io.ReadCloser) error
		ok         bool
	}
	closes := func(body io.ReadCloser) error { _, _ = body.Read(make([]byte, 1000)); return body.Close() }
	fails := func(body io.ReadCloser) error { _, err := io.ReadAll(body); return err }
	for name, c := range map[string]test{
		"Close":                      {"application/json", document, closes, true},
		"read error":                 {"application/json", document, fails, true},
		"Close in a document":        {"application/json", document[:len(document)-1], closes, false},
		"read error in a document":   {"application/json", document[:len(document)-1], fails, false},
		"Close in a stream":          {"text/event-stream", stream, closes, false},
		"read error in a stream":     {"text/event-stream", stream, fails, false},
		"Close after its end":        {"text/event-stream", stream + done, closes, true},
		"a read error after its end": {"text/event-stream", stream + done, fails, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReports()
			source := io.MultiReader(strings.NewReader(c.body), errorReader{broken})
			response := &http.Response{
				StatusCode: http.StatusOK,
				Header:     http.Header{"Content-Type": {c.kind}},
				Body:       closer{source, broken},
				Request:    to("/c"),
			}
			if err := usage.Report(r.add).ModifyResponse(response); err != nil {
				t.Fatal(err)
			}
			if err := c.end(response.Body); !errors.Is(err, broken) {
				t.Errorf("the error is %v", err)
			}
			_, _ = response.Body.Read(make([]byte, 1))
			_ = response.Body.Close()
			r.check(t, report{"/c", seven, c.ok})
		})
	}
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

type closer struct {
	io.Reader
	err error
}

func (c closer) Close() error { return c.err }

// TestCloseDuringRead: Close may be called while Read waits.
func TestCloseDuringRead(t *testing.T) {
	r := newReports()
	source, sink := io.Pipe()
	response := &http.Response{Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: source, Request: to("/d")}
	if err := usage.Report(r.add).ModifyResponse(response); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, response.Body) })
	_, _ = io.WriteString(sink, stream)
	_ = response.Body.Close()
	wg.Wait()
	got := <-r
	if len(r) > 0 || got.u != seven && got.u != (usage.Usage{}) {
		t.Errorf("reported %+v, and %d more", got, len(r))
	}
}

// TestBodyAllocations: one allocation for a response, none for a piece of it.
func TestBodyAllocations(t *testing.T) {
	report := usage.Report(func(*http.Request, usage.Usage, bool) {})
	header := http.Header{"Content-Type": {"text/event-stream"}}
	source := strings.NewReader("")
	from := io.NopCloser(struct{ io.Reader }{source})
	text := strings.Repeat(stream, 100)
	piece := make([]byte, 16)
	response := &http.Response{Header: header}
	n := testing.AllocsPerRun(100, func() {
		source.Reset(text)
		response.Body = from
		_ = report.ModifyResponse(response)
		for {
			if _, err := response.Body.Read(piece); err != nil {
				return
			}
		}
	})
	if n > 1 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkModifyResponse(b *testing.B) {
	report := usage.Report(func(*http.Request, usage.Usage, bool) {})
	header := http.Header{"Content-Type": {"application/json"}}
	source := strings.NewReader("")
	from := io.NopCloser(struct{ io.Reader }{source})
	piece := make([]byte, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(document)
		response := &http.Response{Header: header, Body: from}
		_ = report.ModifyResponse(response)
		for {
			if _, err := response.Body.Read(piece); err != nil {
				break
			}
		}
	}
}
