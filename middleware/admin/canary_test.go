package admin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestCanary: a key is in no answer and no log, whatever is asked and whatever fails. The
// control finds it in what was sent.
func TestCanary(t *testing.T) {
	const canary = "sk-canary-7d41c0ffee"
	var shown, sent, log bytes.Buffer
	events := make(chan string, 10_000)
	text := fmt.Sprintf(`{"default":"1/s;shadow","plans":{"gold":"1/s"},"members":{%q:"gold"},"keys":{%q:"2/s;shadow"},"organisations":{"acme":{"limits":"3/s;shared","members":[%q],"keys":{%q:"4/s"}}}}`, canary, canary+"-2", canary+"-3", canary+"-4")
	for _, backend := range []store.Store{memstore.New(memstore.Config{}), down{}, down{panics: true}} {
		table := newTable(t, text)
		limiter := newLimiter(t, backend, table, ratelimit.Config{Metrics: true})
		for range 3 {
			_, _ = limiter.Allow(t.Context(), canary)
			_, _ = limiter.Allow(t.Context(), canary+"-2")
		}
		h, err := admin.New(limiter, operator, admin.Config{
			Table: table, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Observe: func(_ *http.Request, e admin.Event) { events <- fmt.Sprintf("%+v\n", e); panic(canary) },
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(h)
		server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(&log, nil), slog.LevelError)
		server.Start()
		ask := func(method, path, body, match string) string {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", secret)
			r.Header.Set("Content-Type", "application/json")
			if match != "" {
				r.Header.Set("If-Match", match)
			}
			sent.WriteString(body)
			response, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			_ = response.Write(&shown)
			return response.Header.Get("ETag")
		}
		for _, path := range []string{"/key/state", "/key/reset", "/key/reset-shared", "/key/block", "/key/unblock", "/shadow", "/denied", "/table", "/table/summary", "/table/changes", "/table/rollback", "/table/override", "/openapi.json", "/", "/nothing"} {
			etag := ask("GET", "/table", "", "")
			for _, method := range []string{"GET", "POST", "PUT"} {
				for _, body := range []string{
					fmt.Sprintf(`{"key":%q}`, canary), fmt.Sprintf(`{"key":%q}`, canary+"-2"), fmt.Sprintf(`{"key":%q}`, canary+"-3"), fmt.Sprintf(`{"address":%q}`, canary), canary, text,
					fmt.Sprintf(`{"default":"1/s","plans":{%q:%q}}`, canary, canary), fmt.Sprintf(`{"default":%q,"keys":{%q:%q}}`, canary, canary, canary),
					fmt.Sprintf(`{%q:{}}`, canary), fmt.Sprintf(`{"default":"1/s","members":{%q:%q}}`, canary, canary), fmt.Sprintf(`{"default":"1/s","keys":{"sha256:%s":"1/s"}}`, canary),
				} {
					ask(method, path, body, etag)
				}
			}
		}
		server.Close()
	}
	close(events)
	for e := range events {
		shown.WriteString(e)
	}
	if !strings.Contains(sent.String(), canary) || shown.Len() < 10_000 || !strings.Contains(log.String(), "panicked") {
		t.Fatalf("the control does not hold: %d bytes were shown", shown.Len())
	}
	for _, where := range []string{shown.String(), log.String()} {
		if at := strings.Index(where, canary); at >= 0 {
			t.Errorf("the key is in %s", where[max(0, at-500):min(len(where), at+100)])
		}
		if strings.Contains(where, fmt.Sprintf("%x", canary)) {
			t.Error("the key is there in hexadecimal digits")
		}
	}
}

// limitTexts are limits with something in them that may be a key, at each place.
func limitTexts(secret string) []string {
	return []string{
		secret, "5/s;" + secret, "5/s;shadow;" + secret, "5/s;" + secret + "=1", "5/s;burst=" + secret, "5/s;name=" + secret, "5/s;name=a;name=" + secret, "0/s;name=" + secret,
		"5/s;enforce-from=" + secret, "5/s;shadow=" + secret, "5/" + secret, secret + "/s", secret + "/" + secret, "5/s, " + secret, "5/s, 6/m;" + secret, secret + ", unlimited",
		"5/s;name=x" + secret + ", 6/s;name=x" + secret, "5 per " + secret, "5/s burst " + secret, "unlimited;" + secret, "5/s;burst=3;" + secret + ";" + secret,
		"5/s," + strings.Repeat(secret+",", 5), "10,000/d;name=" + secret,
	}
}

// tableTexts are tables with a secret at each place where a text can be, but as the name of
// a plan or of a limit in a table that can be used: those are shown by right.
func tableTexts(secret string) []string {
	quoted, _ := json.Marshal(secret)
	s := string(quoted)
	tables := []string{
		s, "[" + s + "]", "{" + s + ":1}", `{"default":{` + s + `:` + s + `}}`, `{"default":"5/s"} ` + s, `{"default":"5/s",` + s + `:` + s + `}`, `{"default":"5/s"` + s,
		`{"default":"5/s","plans":` + s + `}`, `{"default":"5/s","plans":[` + s + `]}`, `{"default":"5/s","plans":{"a":{` + s + `:1}}}`, `{"default":"5/s","plans":{` + s + `:` + s + `}}`,
		`{"default":"5/s","members":` + s + `}`, `{"default":"5/s","members":{"alice":` + s + `}}`, `{"default":"5/s","members":{` + s + `:"gold"}}`, `{"default":"5/s","members":{` + s + `:7}}`,
		`{"default":"5/s","plans":{"gold":"1/s"},"members":{"gold":` + s + `}}`, `{"default":"5/s","members":{` + s + `:"a",` + s + `:"b"}}`,
		`{"default":"5/s","keys":{` + s + `:null}}`, `{"default":"5/s","keys":{"sha256:` + secret + `":"5/s"}}`, `{"default":"5/s","plans":{"g":"1/s"},"keys":{` + s + `:"1/s"},"members":{` + s + `:"g"}}`,
	}
	for _, o := range []string{
		s, `[` + s + `]`, `{` + s + `:"gold"}`, `{` + s + `:{}}`, `{` + s + `:{"plan":"gold","limits":"1/s"}}`, `{` + s + `:{"plan":` + s + `}}`, `{"x":` + s + `}`, `{"x":{"plan":"gold",` + s + `:{` + s + `:1}}}`,
		`{"x":{"plan":` + s + `}}`, `{"x":{"plan":[` + s + `]}}`, `{"x":{"limits":` + s + `}}`, `{"x":{"plan":"gold","members":` + s + `}}`, `{"x":{"plan":"gold","members":[` + s + `,` + s + `]}}`,
		`{"x":{"plan":"gold","members":[` + s + `]},"y":{"plan":"gold","members":[` + s + `]}}`, `{"x":{"plan":"gold","members":["sha256:` + secret + `"]}}`, `{"x":{"plan":"gold","members":[[` + s + `]]}}`,
		`{"x":{"plan":"gold","keys":` + s + `}}`, `{"x":{"plan":"gold","keys":{` + s + `:` + s + `}}}`, `{"x":{"plan":"gold","keys":{` + s + `:"7/h;name=org;shared"}}}`, `{"x":{"plan":"gold","keys":{"alice":[` + s + `]}}}`,
	} {
		tables = append(tables, `{"default":"5/s","plans":{"gold":["1/s","9/h;name=org;shared"]},"organisations":`+o+`}`)
	}
	tables = append(tables, `{"default":"5/s","plans":{"gold":"1/s;shared"},"members":{`+s+`:"gold"}}`, `{"default":"5/s","keys":{`+s+`:"1/s;shared"}}`)
	for _, limit := range limitTexts(secret) {
		quoted, _ := json.Marshal(limit)
		l := string(quoted)
		tables = append(tables,
			`{"default":`+l+`,"plans":7}`, `{"default":[`+l+`],"plans":7}`, `{"default":7,"plans":{"gold":`+l+`}}`, `{"default":7,"plans":{"gold":["1/s",`+l+`]}}`,
			`{"default":7,"keys":{"alice":`+l+`}}`, `{"default":7,"keys":{"alice":["1/h;name=a",`+l+`]}}`, `{"default":7,"organisations":{"x":{"limits":`+l+`}}}`, `{"default":7,"organisations":{"x":{"plan":"gold","keys":{"alice":`+l+`}}}}`, `{"default":7,"keys":{`+s+`:`+l+`}}`)
	}
	return tables
}

// TestEchoes puts a key into every place of what an operator sends, and searches for it in
// all that is answered, logged and observed, in every spelling.
func TestEchoes(t *testing.T) {
	for _, secret := range []string{testkit.Canary, "sk-canary-987", "sk_live_0123456789abcdef", "sk", `"quoted"`} {
		var shown, sent bytes.Buffer
		table := newTable(t, tableText)
		limiter := newLimiter(t, memstore.New(memstore.Config{}), table, ratelimit.Config{})
		h, err := admin.New(limiter, operator, admin.Config{
			Table: table, Logger: slog.New(slog.NewJSONHandler(&shown, nil)),
			Observe: func(_ *http.Request, e admin.Event) { fmt.Fprintf(&shown, "%+v\n", e) },
		})
		if err != nil {
			t.Fatal(err)
		}
		d := &desk{Handler: h, table: table, limiter: limiter}
		quoted, _ := json.Marshal(secret)
		match := "If-Match: " + d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
		ask := func(method, path, body string, headers ...string) *httptest.ResponseRecorder {
			sent.WriteString(body + "\n")
			w := d.ask(t, method, path, body, headers...)
			_ = w.Result().Write(&shown)
			return w
		}
		for _, text := range tableTexts(secret) {
			if w := ask("PUT", "/table", text, match); w.Code != 422 {
				t.Errorf("%s: %d: %s", text, w.Code, w.Body)
			}
		}
		for _, path := range []string{"/key/state", "/key/reset", "/key/reset-shared", "/key/block", "/key/unblock", "/table", "/" + "x"} {
			for _, body := range []string{`{"key":` + string(quoted) + `}`, `{"address":` + string(quoted) + `}`, string(quoted), `{` + string(quoted) + `:1}`, `{"key":"a",` + string(quoted) + `:"b"}`, secret} {
				ask("POST", path, body)
				ask("PUT", path, body, "If-Match: "+secret)
			}
		}
		h2 := middleware.Health(limiter)
		w := httptest.NewRecorder()
		h2.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
		_ = w.Result().Write(&shown)

		if len(secret) < 8 {
			continue // too short to search for: it was for what becomes of short texts
		}
		if found := testkit.Spelled(shown.String(), secret); found != nil {
			t.Errorf("%q is shown (%v)", secret, found)
			for line := range strings.Lines(shown.String()) {
				if testkit.Spelled(line, secret) != nil {
					t.Errorf("in: %.600s", line)
					break
				}
			}
		}
		if testkit.Spelled(sent.String(), secret) == nil || shown.Len() < 10_000 {
			t.Errorf("the control does not find %q in what was sent, or nothing was shown", secret)
		}
	}
}
