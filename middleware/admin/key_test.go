package admin_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestState: the state of a key is the decision that a call would get, and charges nothing.
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
				`{"name":"default","limit":"50/s","shadow":false,"remaining":2,"burst":50,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":960},` +
				`{"name":"daily","limit":"100000/d;name=daily","shadow":false,"remaining":99952,"burst":100000,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":41472}]}`
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
		if w := d.ask(t, "POST", "/key/state", `{"key":"customer-17"}`); !strings.Contains(w.Body.String(), `"allowed":false,"would_deny":false,"retry_after_ms":20,`) || !strings.Contains(w.Body.String(), `"remaining":0,"burst":50,"held":0,"violated":true,"retry_after_ms":20`) {
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
			`{"key":"customer-99"}`:         `"exempt":false,"allowed":true,`,
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

// TestStateHasTheKeyOfTheTable: what stands for a key in the answer puts the key, or
// the address, on a plan, also where the limiter knows the key by another text.
func TestStateHasTheKeyOfTheTable(t *testing.T) {
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

// TestStateOfShadow: shadow limits are marked, even if their state is unknown.
func TestStateOfShadow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, err := ratelimit.NewPolicy(ratelimit.PerSecond(3), ratelimit.PerHour(2).Named("hourly").Shadowed())
		if err != nil {
			t.Fatal(err)
		}
		d := newDeskOn(t, newLimiter(t, memstore.New(memstore.Config{}), p, ratelimit.Config{}), admin.Config{})
		for i, want := range []string{
			`"limits":[{"name":"default","limit":"3/s","shadow":false,"remaining":3,"burst":3,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":0},{"name":"hourly","limit":"2/h;name=hourly;shadow","shadow":true,"remaining":2,"burst":2,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":0}]}`,
			`"remaining":1,"burst":2,"held":0,"violated":false,`,
			`"allowed":true,"would_deny":true,"retry_after_ms":0,"source":"store","limits":[{"name":"default","limit":"3/s","shadow":false,"remaining":1,`,
			`"allowed":false,"would_deny":false,"retry_after_ms":334,"source":"store","limits":[{"name":"default","limit":"3/s","shadow":false,"remaining":0,"burst":3,"held":0,"violated":true,"retry_after_ms":334,"reset_after_ms":1000},{"name":"hourly","limit":"2/h;name=hourly;shadow","shadow":true}]}`,
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

// TestUnavailable: the response has the class of a fault and not its text.
func TestUnavailable(t *testing.T) {
	for class, backend := range map[string]store.Store{
		`"class":"away"`: down{}, `"class":"panic"`: down{panics: true}, `,"class":"panic"`: unguarded{down{panics: true}},
	} {
		d := newDeskOn(t, newLimiter(t, backend, ratelimit.PerSecond(5), ratelimit.Config{}), admin.Config{})
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

// newRoutes serves GET /export, with limits of its own, and GET /status, instead.
func newRoutes(t *testing.T, limiter *ratelimit.Limiter) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	for _, pattern := range []string{"GET /export", "GET /status", "/"} {
		mux.HandleFunc(pattern, func(http.ResponseWriter, *http.Request) {})
	}
	routes, err := middleware.Routes(limiter, mux, middleware.Config{Key: middleware.Header("X-API-Key"), DisableQueue: true},
		middleware.Route{Pattern: "GET /export", Limits: []ratelimit.Limit{ratelimit.PerDay(2), ratelimit.PerHour(9).Named("hourly").Shadowed()}},
		middleware.Route{Pattern: "GET /status", Limits: []ratelimit.Limit{ratelimit.PerHour(60)}, Instead: true})
	if err != nil {
		t.Fatal(err)
	}
	return routes
}

// get returns the status of a call of a customer.
func get(t *testing.T, h http.Handler, key, path string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
	r.Header.Set("X-API-Key", key)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// TestRoutesInState: the state of a key lists the limits of routes, and a reset fills them,
// all or one.
func TestRoutesInState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		routes := newRoutes(t, d.limiter)
		use := func() {
			t.Helper()
			for i, want := range []int{200, 200, 429} {
				if got := get(t, routes, "customer-19", "/export"); got != want {
					t.Errorf("export %d: status %d, want %d", i, got, want)
				}
			}
			get(t, routes, "customer-19", "/status")
		}
		state := func(want string) {
			t.Helper()
			if w := d.ask(t, "POST", "/key/state", `{"key":"customer-19"}`); w.Code != 200 || !strings.HasSuffix(w.Body.String(), want+"]}\n") {
				t.Errorf("%d: %s\nwant %s at the end", w.Code, w.Body, want)
			}
		}
		reset := func(body string, status int, limit string) {
			t.Helper()
			if w := d.ask(t, "POST", "/key/reset", body); w.Code != status || d.last().Limit != limit {
				t.Errorf("%s: %d: %s, %+v", body, w.Code, w.Body, d.last())
			}
		}
		const (
			export  = `{"name":"GET /export","limit":"2/d;name=GET /export","shadow":false,"remaining":2,"burst":2,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":0}`
			used    = `{"name":"GET /export","limit":"2/d;name=GET /export","shadow":false,"remaining":0,"burst":2,"held":0,"violated":true,"retry_after_ms":43200000,"reset_after_ms":86400000}`
			hourly  = `{"name":"GET /export#hourly","limit":"9/h;name=GET /export#hourly;shadow","shadow":true,"remaining":9,"burst":9,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":0}`
			unknown = `{"name":"GET /export#hourly","limit":"9/h;name=GET /export#hourly;shadow","shadow":true}`
			status  = `{"name":"GET /status","limit":"60/h;name=GET /status","shadow":false,"remaining":60,"burst":60,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":0}`
			asked   = `{"name":"GET /status","limit":"60/h;name=GET /status","shadow":false,"remaining":59,"burst":60,"held":0,"violated":false,"retry_after_ms":0,"reset_after_ms":60000}`
		)
		state(`"parts":[` + export + "," + hourly + "," + status)
		use()
		state(`"parts":[` + used + "," + unknown + "," + asked)
		reset(`{"key":"customer-19","limit":"GET /export"}`, 204, "GET /export")
		if got := get(t, routes, "customer-19", "/export"); got != 200 {
			t.Errorf("after the reset of its limit: %d", got)
		}
		reset(`{"key":"customer-19"}`, 204, "")
		state(`"parts":[` + export + "," + hourly + "," + status)
		use()
		reset(`{"limit":"GET /status","key":"customer-19"}`, 204, "GET /status")
		state(`"parts":[` + used + "," + unknown + "," + status)
		reset(`{"key":"customer-19","limit":"default"}`, 204, "default")
		if got := get(t, routes, "customer-19", "/export"); got != 429 {
			t.Errorf("the reset of another limit has filled this one: %d", got)
		}
		reset(`{"key":"customer-19","limit":"none"}`, 404, "")
		reset(`{"address":"192.0.2.1","limit":"GET /export"}`, 204, "GET /export")
		// An exempt key has no limits, and so no parts.
		if w := d.ask(t, "POST", "/key/state", `{"key":"monitoring"}`); w.Code != 200 || strings.Contains(w.Body.String(), "parts") {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		reset(`{"key":"monitoring","limit":"none"}`, 204, "none")
		runtime.KeepAlive(routes)
	})
}

// TestRouteThatLocksOut: the limits of a route that a key is locked out of stay in the state of the
// key, with the end of the lock-out, and a reset ends it.
func TestRouteThatLocksOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		mux := http.NewServeMux()
		mux.HandleFunc("GET /export", func(http.ResponseWriter, *http.Request) {})
		routes, err := middleware.Routes(d.limiter, mux, middleware.Config{Key: middleware.Header("X-API-Key"), DisableQueue: true},
			middleware.Route{Pattern: "GET /export", Limits: []ratelimit.Limit{ratelimit.PerHour(2).LockedOut(2, time.Minute, 10*time.Minute), ratelimit.PerDay(1).Named("watched").Shadowed()}})
		if err != nil {
			t.Fatal(err)
		}
		state := func(want string) {
			t.Helper()
			if w := d.ask(t, "POST", "/key/state", `{"key":"customer-19"}`); w.Code != 200 || !strings.Contains(w.Body.String(), want) {
				t.Errorf("%d: %s\nwant %s", w.Code, w.Body, want)
			}
		}
		for i, want := range []int{200, 200, 429, 403} {
			if got := get(t, routes, "customer-19", "/export"); got != want {
				t.Errorf("call %d: status %d, want %d", i+1, got, want)
			}
		}
		time.Sleep(time.Minute)
		const block = `"shadow":false,"block":{"until":"2000-01-01T00:10:00Z","reason":"lockout of GET /export","own":false}}`
		state(`"allowed":true,"would_deny":false,"retry_after_ms":0,"source":"store","limits":[{"name":"default","limit":"7/s",`)
		state(`"parts":[{"name":"GET /export","limit":"2/h;name=GET /export;lockout=2/m:10m",` + block + `,{"name":"GET /export#watched","limit":"1/d;name=GET /export#watched;shadow","shadow":true}]`)
		if w := d.ask(t, "POST", "/key/reset", `{"key":"customer-19","limit":"GET /export"}`); w.Code != 204 {
			t.Errorf("%d: %s", w.Code, w.Body)
		}
		state(`"parts":[{"name":"GET /export","limit":"2/h;name=GET /export;lockout=2/m:10m","shadow":false,"remaining":2,`)
		if got := get(t, routes, "customer-19", "/export"); got != 200 {
			t.Errorf("after the reset: status %d", got)
		}
		runtime.KeepAlive(routes)
	})
}

// TestPartsThatFail is as it is for the key's own limits.
func TestPartsThatFail(t *testing.T) {
	d := newDeskOn(t, newLimiter(t, down{}, ratelimit.PerSecond(5), ratelimit.Config{}), admin.Config{})
	wantProblem(t, d.ask(t, "POST", "/key/reset", `{"key":"k","limit":"default"}`), 503, `"class":"away"`)
}
