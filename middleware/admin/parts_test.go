package admin_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

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
			export  = `{"name":"GET /export","limit":"2/d;name=GET /export","shadow":false,"remaining":2,"violated":false,"retry_after_ms":0,"reset_after_ms":0}`
			used    = `{"name":"GET /export","limit":"2/d;name=GET /export","shadow":false,"remaining":0,"violated":true,"retry_after_ms":43200000,"reset_after_ms":86400000}`
			hourly  = `{"name":"GET /export#hourly","limit":"9/h;name=GET /export#hourly;shadow","shadow":true,"remaining":9,"violated":false,"retry_after_ms":0,"reset_after_ms":0}`
			unknown = `{"name":"GET /export#hourly","limit":"9/h;name=GET /export#hourly;shadow","shadow":true}`
			status  = `{"name":"GET /status","limit":"60/h;name=GET /status","shadow":false,"remaining":60,"violated":false,"retry_after_ms":0,"reset_after_ms":0}`
			asked   = `{"name":"GET /status","limit":"60/h;name=GET /status","shadow":false,"remaining":59,"violated":false,"retry_after_ms":0,"reset_after_ms":60000}`
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

// TestResetBodies: a limit has a name, and the state of a key is of all.
func TestResetBodies(t *testing.T) {
	d := newDesk(t)
	for _, body := range []string{`{"key":"a","limit":""}`, `{"key":"a","limit":7}`, `{"key":"a","limit":null}`, `{"limit":"canary"}`, `{"key":"a","limit":"b","limit":"canary"}`, `{"key":"a","address":"::1","limit":"canary"}`, `{"key":"a","Limit":"canary"}`, `{"key":"a","limit":["canary"]}`} {
		w := d.ask(t, "POST", "/key/reset", body)
		wantProblem(t, w, 400, "names one of its limits")
		if strings.Contains(w.Body.String(), "canary") {
			t.Errorf("what was sent comes back: %s", w.Body)
		}
	}
	wantProblem(t, d.ask(t, "POST", "/key/reset", `{"key":"a","limit":"x`+"\xff"+`"}`), 400, "The limit must be text in UTF-8")
	wantProblem(t, d.ask(t, "POST", "/key/state", `{"key":"a","limit":"default"}`), 400, "one text")
}

// TestPartsThatFail is as it is for the key's own limits.
func TestPartsThatFail(t *testing.T) {
	d := newDeskOn(t, newLimiter(t, down{}, ratelimit.PerSecond(5), ratelimit.Config{}), admin.Config{})
	wantProblem(t, d.ask(t, "POST", "/key/reset", `{"key":"k","limit":"default"}`), 503, `"class":"away"`)
}

// TestTableOfAnotherLimiter: a table that is not in force could be replaced for ever, and
// nothing would change.
func TestTableOfAnotherLimiter(t *testing.T) {
	table, other := newTable(t, tableText), newTable(t, tableText)
	cached, err := ratelimit.Cached(table, ratelimit.CacheConfig{})
	if err != nil {
		t.Fatal(err)
	}
	policy, err := ratelimit.NewPolicy(ratelimit.PerSecond(5))
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		limits ratelimit.Limits
		ok     bool
	}{
		"the table": {table, true}, "asks the table": {cached, true},
		"may ask it":    {ratelimit.LimitsFunc(func(ctx context.Context, key string) (*ratelimit.Policy, error) { return table.PolicyFor(ctx, key) }), true},
		"another table": {other, false}, "a limit": {ratelimit.PerSecond(5), false}, "a policy": {policy, false}, "no limits": {ratelimit.Unlimited, false},
	} {
		limiter := newLimiter(t, memstore.New(memstore.Config{}), test.limits, ratelimit.Config{})
		part, err := limiter.With(ratelimit.PerDay(2).Named("export"))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range []*ratelimit.Limiter{limiter, part} {
			_, err := admin.New(l, operator, admin.Config{Table: table})
			if (err == nil) != test.ok || err != nil && !strings.Contains(err.Error(), "admin: Config.Table is not the table of limiter") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	// All faults are reported at once.
	_, err = admin.New(newLimiter(t, memstore.New(memstore.Config{}), other, ratelimit.Config{}), nil, admin.Config{Table: table, TrustedOrigins: []string{"x"}})
	if err == nil || strings.Count(err.Error(), "admin: ") != 3 {
		t.Errorf("%v", err)
	}
	if _, err = admin.New(nil, operator, admin.Config{Table: table}); err == nil || errors.Is(err, ratelimit.ErrNoLimit) {
		t.Errorf("%v", err)
	}
}
