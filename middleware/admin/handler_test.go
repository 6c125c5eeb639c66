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
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestNewRefuses(t *testing.T) {
	h, err := admin.New(nil, nil, admin.Config{Table: new(ratelimit.Table), TrustedOrigins: []string{"https://ok.example", "ops.example/"}})
	if h != nil || err == nil {
		t.Fatalf("%v, %v", h, err)
	}
	for _, want := range []string{"limiter is nil", "authorize is nil, so that any caller could lift every limit", "subtle.ConstantTimeCompare", "Config.Table is the zero Table", `Config.TrustedOrigins[1] "ops.example/" must be an origin, such as "https://ops.example.com"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
	if n := strings.Count(err.Error(), "\n") + 1; n != 4 {
		t.Errorf("%d faults: %v", n, err)
	}
}

// TestState tells what a call would be answered, and charges nothing.
func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		for range 48 {
			if _, err := d.limiter.Allow(t.Context(), "customer-17"); err != nil {
				t.Fatal(err)
			}
		}
		for range 3 { // the answer stays the same
			want := `{"key":"` + ratelimit.HashKey("customer-17") + `","exempt":false,"plan":"gold","allowed":true,"would_deny":false,"retry_after_ms":0,"source":"store","limits":[` +
				`{"name":"default","limit":"50/s","shadow":false,"remaining":2,"violated":false,"retry_after_ms":0,"reset_after_ms":960},` +
				`{"name":"daily","limit":"100000/d;name=daily","shadow":false,"remaining":99952,"violated":false,"retry_after_ms":0,"reset_after_ms":41472}]}`
			if w := d.ask(t, "POST", "/key/state", `{"key":" customer-17\t"}`); w.Code != 200 || strings.TrimSpace(w.Body.String()) != want || w.Header().Get("Content-Type") != "application/json" {
				t.Fatalf("status %d: %s\nwant %s", w.Code, w.Body, want)
			}
		}
		if e := d.last(); e != (admin.Event{Action: admin.ActionState, Status: 200, Key: ratelimit.HashKey("customer-17")}) {
			t.Errorf("%+v", e)
		}
		for range 3 {
			_, _ = d.limiter.Allow(t.Context(), "customer-17")
		}
		if w := d.ask(t, "POST", "/key/state", `{"key":"customer-17"}`); !strings.Contains(w.Body.String(), `"allowed":false,"would_deny":false,"retry_after_ms":20,`) || !strings.Contains(w.Body.String(), `"remaining":0,"violated":true,"retry_after_ms":20`) {
			t.Errorf("over the limit: %s", w.Body)
		}
		if w := d.ask(t, "POST", "/key/reset", `{"key":"customer-17"}`); w.Code != 204 || w.Body.Len() > 0 || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		if e := d.last(); e != (admin.Event{Action: admin.ActionReset, Status: 204, Key: ratelimit.HashKey("customer-17")}) {
			t.Errorf("%+v", e)
		}
		if w := d.ask(t, "POST", "/key/state", `{"key":"customer-17"}`); !strings.Contains(w.Body.String(), `"remaining":50,`) || !strings.Contains(w.Body.String(), `"remaining":100000,`) {
			t.Errorf("after the reset: %s", w.Body)
		}
		for body, want := range map[string]string{
			`{"key":"monitoring"}`:          `"exempt":true,"plan":"staff","allowed":true,"would_deny":false,"retry_after_ms":0,"source":"none","limits":[]}`,
			`{"key":"customer-19"}`:         `"allowed":true,"would_deny":false,"retry_after_ms":0,"source":"store","limits":[{"name":"default","limit":"7/s","shadow":false,"remaining":7,`,
			`{"key":"nobody"}`:              `"exempt":false,"allowed":true,`,
			`{"key":"\u0000ambiguous"}`:     `"limit":"5/s"`,
			`{"address":"2001:db8::1%eth"}`: `"limit":"5/s"`,
		} {
			if w := d.ask(t, "POST", "/key/state", body); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: status %d: %s; want %s", body, w.Code, w.Body, want)
			}
		}
	})
}

// TestStateOfAddress: the address of a caller without a key, and a key that looks like
// one, are two.
func TestStateOfAddress(t *testing.T) {
	d := newDesk(t)
	for range 5 {
		_, _ = d.limiter.Allow(t.Context(), " ip 2001:db8::/64")
	}
	for body, want := range map[string]string{
		`{"address":"2001:db8::7"}`:      ratelimit.HashKey(" ip 2001:db8::/64"),
		`{"key":" ip 2001:db8::/64"}`:    ratelimit.HashKey("ip 2001:db8::/64"),
		`{"address":"::ffff:192.0.2.1"}`: ratelimit.HashKey(" ip 192.0.2.1"),
	} {
		if w := d.ask(t, "POST", "/key/state", body); w.Code != 200 || d.last().Key != want {
			t.Errorf("%s: status %d, %s; want %s", body, w.Code, d.last().Key, want)
		}
	}
	if w := d.ask(t, "POST", "/key/state", `{"address":"2001:db8::7"}`); !strings.Contains(w.Body.String(), `"remaining":0`) {
		t.Errorf("%s", w.Body)
	}
}

// TestStateTellsTheLineOfTheTable: what stands for a key in the answer puts the key, or
// the address, on a plan, also where the limiter knows the key by another text.
func TestStateTellsTheLineOfTheTable(t *testing.T) {
	d := newDesk(t)
	for _, body := range []string{`{"key":"alice"}`, `{"key":" spaced out "}`, `{"key":"` + strings.Repeat("k", 300) + `"}`, `{"key":"é"}`, `{"address":"2001:db8::7"}`, `{"address":"::ffff:192.0.2.7"}`} {
		var state struct{ Key, Plan string }
		if err := json.Unmarshal(d.ask(t, "POST", "/key/state", body).Body.Bytes(), &state); err != nil || state.Key == "" || state.Plan != "" {
			t.Fatalf("%s: %v, %+v", body, err, state)
		}
		match := "If-Match: " + d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
		table := fmt.Sprintf(`{"default":"5/s","plans":{"gold":"50/s"},"members":{%q:"gold"}}`, state.Key)
		if w := d.ask(t, "PUT", "/table", table, match); w.Code != 204 {
			t.Fatalf("%d: %s", w.Code, w.Body)
		}
		if w := d.ask(t, "POST", "/key/state", body); !strings.Contains(w.Body.String(), `"plan":"gold"`) {
			t.Errorf("%.30s is not on the plan: %s", body, w.Body)
		}
	}
}

// TestStateOfShadow: limits that only watch are told apart, also where nothing is known.
func TestStateOfShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := ratelimit.NewPolicy(ratelimit.PerSecond(3), ratelimit.PerHour(2).Named("hourly").Shadowed())
		if err != nil {
			t.Fatal(err)
		}
		d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), p, ratelimit.Config{}), admin.Config{})
		for i, want := range []string{
			`"limits":[{"name":"default","limit":"3/s","shadow":false,"remaining":3,"violated":false,"retry_after_ms":0,"reset_after_ms":0},{"name":"hourly","limit":"2/h;name=hourly;shadow","shadow":true,"remaining":2,"violated":false,"retry_after_ms":0,"reset_after_ms":0}]}`,
			`"remaining":1,"violated":false,`,
			`"allowed":true,"would_deny":true,"retry_after_ms":0,"source":"store","limits":[{"name":"default","limit":"3/s","shadow":false,"remaining":1,`,
			`"allowed":false,"would_deny":false,"retry_after_ms":334,"source":"store","limits":[{"name":"default","limit":"3/s","shadow":false,"remaining":0,"violated":true,"retry_after_ms":334,"reset_after_ms":1000},{"name":"hourly","limit":"2/h;name=hourly;shadow","shadow":true}]}`,
		} {
			if w := d.ask(t, "POST", "/key/state", `{"key":"k"}`); !strings.Contains(w.Body.String(), want) {
				t.Errorf("before call %d: %s\nwant %s", i+1, w.Body, want)
			}
			_, _ = d.limiter.Allow(t.Context(), "k")
		}
		_, _ = d.limiter.AllowN(t.Context(), "k", 3) // refused by what is enforced: not watched
		if w := d.ask(t, "GET", "/shadow", ""); !strings.Contains(w.Body.String(), `"decisions":5,"would_deny":1,"undecided":0,"keys":[{"key":"`+ratelimit.HashKey("k")+`","limit":"hourly","refused":1,"overcount":0,"tokens":1,"max_retry_after_ms":1800000,"never":false,"first":"2000-01-01T00:00:00Z","last":"2000-01-01T00:00:00Z"}]}`) {
			t.Errorf("%s", w.Body)
		}
	})
}

func TestShadowOfWhatNeverFits(t *testing.T) {
	d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5).Shadowed(), ratelimit.Config{}), admin.Config{})
	if w := d.ask(t, "GET", "/shadow", ""); !strings.Contains(w.Body.String(), `"keys":[]}`) {
		t.Errorf("%s", w.Body)
	}
	_, _ = d.limiter.AllowN(t.Context(), "k", 6)
	if w := d.ask(t, "GET", "/shadow", ""); !strings.Contains(w.Body.String(), `"tokens":6,"never":true,`) {
		t.Errorf("%s", w.Body)
	}
}

// TestUnavailable: the class of a fault is told, and not its text.
func TestUnavailable(t *testing.T) {
	for class, store := range map[string]ratelimit.Store{
		`"class":"away"`: down{}, `"class":"panic"`: down{panics: true}, `,"class":"panic"`: unguarded{down{panics: true}},
	} {
		d := newDeskOn(t, newLimiter(t, store, ratelimit.PerSecond(5), ratelimit.Config{}), admin.Config{})
		for _, path := range []string{"/key/state", "/key/reset"} {
			w := d.ask(t, "POST", path, `{"key":"k"}`)
			wantProblem(t, w, 503, class)
			if w.Header().Get("Retry-After") != "1" || strings.Contains(w.Body.String(), "down") {
				t.Errorf("%v: %s", w.Header(), w.Body)
			}
			if e := d.last(); e.Status != 503 || e.Key != ratelimit.HashKey("k") {
				t.Errorf("%+v", e)
			}
		}
	}
}

// TestWays: each path has its methods, HEAD goes where GET does, and there is nothing else.
func TestWays(t *testing.T) {
	d := newDesk(t)
	paths := map[string]string{"/key/state": "POST", "/key/reset": "POST", "/table": "GET, HEAD, PUT", "/table/summary": "GET, HEAD", "/shadow": "GET, HEAD", "/openapi.json": "GET, HEAD"}
	for path, methods := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"} {
			w := d.ask(t, method, path, "")
			if strings.Contains(" "+methods+",", " "+method+",") {
				if w.Code == http.StatusMethodNotAllowed {
					t.Errorf("%s %s is not allowed", method, path)
				}
				continue
			}
			if method == "HEAD" {
				if w.Code != 405 || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "" {
					t.Errorf("HEAD %s: %d, %v", path, w.Code, w.Header())
				}
			} else {
				wantProblem(t, w, 405, "Allow")
			}
			if got := w.Header().Get("Allow"); got != methods {
				t.Errorf("%s %s: Allow is %q, want %q", method, path, got, methods)
			}
		}
		if strings.Contains(methods, "HEAD") {
			get, head := d.ask(t, "GET", path, ""), d.ask(t, "HEAD", path, "")
			if head.Code != get.Code || head.Body.Len() > 0 || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") || head.Header().Get("ETag") != get.Header().Get("ETag") {
				t.Errorf("HEAD %s: %d, %v; GET: %d, %v", path, head.Code, head.Header(), get.Code, get.Header())
			}
		}
	}
	for _, path := range []string{"/", "/key", "/key/", "/key/state/", "//key/state", "/table/summary/x", "/TABLE", "/key/./state", "/health"} {
		wantProblem(t, d.ask(t, "GET", path, ""), 404, "/openapi.json")
		if e := d.last(); e != (admin.Event{Status: 404}) {
			t.Errorf("%s: %+v", path, e)
		}
	}
}

// TestMounted: under http.StripPrefix, with a slash or without.
func TestMounted(t *testing.T) {
	d := newDesk(t)
	mux := http.NewServeMux()
	mux.Handle("/a/", http.StripPrefix("/a", d))
	mux.Handle("/b/", http.StripPrefix("/b/", d))
	for path, want := range map[string]int{"/a/table/summary": 200, "/b/table/summary": 200, "/b/": 404, "/a/key/state": 405} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.Header.Set("Authorization", secret)
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d: %s", path, w.Code, w.Body)
		}
	}
}

// TestObservePanics: the answer stands, and a constant is logged, at most once a second.
func TestObservePanics(t *testing.T) {
	var log bytes.Buffer
	h, err := admin.New(newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{}), operator, admin.Config{
		Observe: func(*http.Request, admin.Event) { panic("canary") },
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			if w := (&desk{Handler: h}).ask(t, "GET", "/shadow", ""); w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
		}
	})
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "Config.Observe panicked") || strings.Contains(text, "canary") {
		t.Errorf("the log is %s", text)
	}
}
