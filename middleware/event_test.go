package middleware_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// events collects what Config.Observe is called with.
type events []middleware.Event

func (e *events) add(_ *http.Request, event middleware.Event) { *e = append(*e, event) }

// TestEvents: one event for each call, whatever became of it.
func TestEvents(t *testing.T) {
	key := middleware.Header("X-API-Key")
	down := brokenStore{err: errDown}
	preflight := call{method: http.MethodOptions, header: http.Header{"Origin": {"https://a.example"}, "Access-Control-Request-Method": {"GET"}}}
	twoKeys := call{header: http.Header{"X-Api-Key": {canary, canary}}}
	twoAddresses := call{peer: "10.0.0.1:1", header: http.Header{"X-Real-Ip": {canaryAddr, "192.0.2.1"}}}
	for _, c := range []struct {
		name    string
		limits  ratelimit.Limits
		limiter ratelimit.Config
		store   store.Store
		config  middleware.Config
		before  int
		call    call
		want    middleware.Event // without Result and Took
		status  int
		result  bool
	}{
		{name: "allowed", config: middleware.Config{Key: key}, call: call{key: canary}, want: middleware.Event{Outcome: middleware.OutcomeAllowed, Served: true}, status: 200, result: true},
		{name: "allowed by address", call: call{peer: canaryAddr + ":1"}, want: middleware.Event{Outcome: middleware.OutcomeAllowed, Served: true}, status: 200, result: true},
		{name: "denied", before: 5, config: middleware.Config{Key: key}, call: call{key: canary}, want: middleware.Event{Outcome: middleware.OutcomeDenied}, status: 429, result: true},
		{name: "denied in the program's words", before: 5, config: middleware.Config{Denied: func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) { w.WriteHeader(420) }}, want: middleware.Event{Outcome: middleware.OutcomeDenied}, status: 420, result: true},
		{name: "a cost that never fits", config: middleware.Config{Cost: func(*http.Request) int { return 6 }}, want: middleware.Event{Outcome: middleware.OutcomeDenied}, status: 429, result: true},
		{name: "shadow", limiter: ratelimit.Config{Shadow: true}, want: middleware.Event{Outcome: middleware.OutcomeShadow, Served: true}, status: 200, result: true},
		{name: "shadow that would deny", before: 5, limiter: ratelimit.Config{Shadow: true}, want: middleware.Event{Outcome: middleware.OutcomeShadow, Served: true}, status: 200, result: true},
		{name: "a shadow limit alone", before: 5, limits: five.Shadowed(), want: middleware.Event{Outcome: middleware.OutcomeShadow, Served: true}, status: 200, result: true},
		{name: "exempt", limits: ratelimit.Unlimited, want: middleware.Event{Outcome: middleware.OutcomeExempt, Served: true}, status: 200, result: true},
		{name: "skipped", config: middleware.Config{Skip: func(*http.Request) bool { return true }}, want: middleware.Event{Outcome: middleware.OutcomeSkipped, Served: true}, status: 200},
		{name: "preflight", call: preflight, want: middleware.Event{Outcome: middleware.OutcomePreflight, Served: true}, status: 200},
		{name: "no key", config: middleware.Config{Key: key, RequireKey: true}, want: middleware.Event{Outcome: middleware.OutcomeNoKey}, status: 401},
		{name: "no key in shadow", limiter: ratelimit.Config{Shadow: true}, config: middleware.Config{Key: key, RequireKey: true}, want: middleware.Event{Outcome: middleware.OutcomeNoKey, Served: true}, status: 200},
		{name: "two keys", config: middleware.Config{Key: key}, call: twoKeys, want: middleware.Event{Outcome: middleware.OutcomeAmbiguous}, status: 400},
		{name: "two keys in shadow", limiter: ratelimit.Config{Shadow: true}, config: middleware.Config{Key: key}, call: twoKeys, want: middleware.Event{Outcome: middleware.OutcomeAmbiguous, Served: true}, status: 200},
		{name: "two addresses", config: middleware.Config{TrustedProxies: prefixes("10.0.0.0/8"), AddressHeader: "X-Real-IP"}, call: twoAddresses, want: middleware.Event{Outcome: middleware.OutcomeAmbiguous}, status: 400},
		{name: "failed open", store: down, want: middleware.Event{Outcome: middleware.OutcomeFailedOpen, Served: true, Class: "down"}, status: 200},
		{name: "failed closed", store: down, config: middleware.Config{FailClosed: true}, want: middleware.Event{Outcome: middleware.OutcomeFailedClosed, Class: "down"}, status: 503},
		{name: "failed in shadow", store: down, limiter: ratelimit.Config{Shadow: true}, config: middleware.Config{FailClosed: true}, want: middleware.Event{Outcome: middleware.OutcomeFailedOpen, Served: true, Class: "down"}, status: 200},
		{name: "a store that panics", store: brokenSelfTimed{brokenStore{panic: canary}}, want: middleware.Event{Outcome: middleware.OutcomeFailedOpen, Served: true, Class: store.ClassPanic}, status: 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.limits == nil {
				c.limits = five
			}
			c.limiter.Metrics = true
			limiter := newLimiter(t, c.limits, c.limiter)
			if c.store != nil {
				limiter = limiterOn(t, c.store, c.limits, c.limiter)
			}
			var seen events
			served := false
			c.config.Observe = func(r *http.Request, e middleware.Event) {
				if served {
					t.Error("observed after the handler was run")
				}
				seen.add(r, e)
			}
			next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { served = true; w.WriteHeader(http.StatusOK) })
			h := middleware.Must(middleware.RateLimit(limiter, quiet(c.config)))(next)
			for range c.before {
				c.call.to(h)
				served = false
			}
			wantStatus(t, h, c.call, c.status)
			wantChecks(t, limiter, seen)
			if len(seen) != c.before+1 {
				t.Fatalf("%d events for %d calls", len(seen), c.before+1)
			}
			got := seen[c.before]
			if decided := got.Result.Policy() != nil; decided != c.result || got.Took < 0 || served != c.want.Served {
				t.Errorf("decided %v, want %v; took %v; served %v", decided, c.result, got.Took, served)
			}
			text, err := json.Marshal(got)
			if err != nil || strings.Contains(string(text), `"result"`) != c.result || !strings.Contains(string(text), `"outcome":"`+string(c.want.Outcome)+`"`) {
				t.Errorf("as JSON: %s, %v", text, err)
			}
			wantAbsent(t, string(text)+fmt.Sprintf("%v %+v %#v", got, got, got), canary, canaryAddr)
			got.Result, got.Took = ratelimit.Result{}, 0
			if got != c.want {
				t.Errorf("event %+v, want %+v", got, c.want)
			}
		})
	}
}

// checks are the outcomes of metrics by those of events.
var checks = map[middleware.Outcome]metrics.Outcome{
	middleware.OutcomeAllowed: metrics.Allowed, middleware.OutcomeShadow: metrics.Allowed, middleware.OutcomeDenied: metrics.Denied,
	middleware.OutcomeExempt: metrics.Exempt, middleware.OutcomeSkipped: metrics.Skipped, middleware.OutcomePreflight: metrics.Skipped,
	middleware.OutcomeNoKey: metrics.NoKey, middleware.OutcomeAmbiguous: metrics.AmbiguousKey,
	middleware.OutcomeFailedOpen: metrics.UndecidedAllowed, middleware.OutcomeFailedClosed: metrics.UndecidedDenied,
}

// wantChecks fails the test unless each event was counted, once, by its outcome.
func wantChecks(t *testing.T, limiter *ratelimit.Limiter, seen events) {
	t.Helper()
	got, want := make(map[string]float64), make(map[string]float64)
	for _, e := range seen {
		want[checks[e.Outcome].String()]++
	}
	for _, p := range metrics.Read(limiter).Points(metrics.Checks) {
		if p.Value != 0 {
			got[p.Labels[0]] = p.Value
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("counted %v; want %v", got, want)
	}
}

// TestEventJSON is what a log line of an event looks like.
func TestEventJSON(t *testing.T) {
	var seen events
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerDay(1), ratelimit.Config{}), middleware.Config{Observe: seen.add}))(hello)
	call{}.to(h)
	e := seen[0]
	e.Took = 1500
	text, err := json.Marshal(e)
	const want = `{"outcome":"allowed","served":true,"result":{"allowed":true,"source":"store","cost":1,"limits":[{"name":"default","limit":"1/d","remaining":0,"violated":false,"reset_after_ms":86400000}]},"took_us":1}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
}

// TestEventPattern: the pattern is that of the mux, inside of it and around it, and never
// anything that a caller can make up.
func TestEventPattern(t *testing.T) {
	var seen events
	config := middleware.Config{Observe: seen.add}
	mux := http.NewServeMux()
	mux.Handle("GET /export/{id}", hello)
	mux.Handle("/plain", hello)
	mux.Handle("/tree/{name}/", hello)
	mux.Handle("/moved", http.RedirectHandler("/plain", http.StatusMovedPermanently))
	routes, err := middleware.Routes(newLimiter(t, ratelimit.PerSecond(1000), ratelimit.Config{}), mux, config, middleware.Route{Pattern: "GET /export/{id}", Cost: 2})
	if err != nil {
		t.Fatal(err)
	}
	inside := http.NewServeMux()
	inside.Handle("GET /export/{id}", middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerSecond(1000), ratelimit.Config{}), config))(hello))
	for _, c := range []struct {
		handler http.Handler
		call    call
		want    string
	}{
		{routes, call{target: "/export/7"}, "GET /export/{id}"},
		{routes, call{target: "/export/8", method: http.MethodHead}, "GET /export/{id}"},
		{routes, call{target: "/plain"}, "/plain"},
		{routes, call{target: "/nothing/" + canary}, ""},
		{routes, call{target: "/export/7", method: http.MethodDelete}, ""},
		{routes, call{target: "/moved"}, "/moved"},
		{routes, call{target: "//export//7"}, "GET /export/{id}"},
		{routes, call{target: "/tree/" + canary}, "/tree/{name}/"},
		{routes, call{target: "/tree/" + canary, method: http.MethodConnect}, ""},
		{inside, call{target: "/export/7"}, "GET /export/{id}"},
		{middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), config))(mux), call{target: "/export/7"}, ""},
	} {
		seen = nil
		c.call.to(c.handler)
		if len(seen) != 1 || seen[0].Pattern != c.want {
			t.Errorf("%s %s: %+v, want the pattern %q", c.call.method, c.call.target, seen, c.want)
		}
	}
}

// TestObservePanics: the outcome stands, and the panic is a fault of one class.
func TestObservePanics(t *testing.T) {
	var r recorder
	config := r.watch(middleware.Config{Observe: func(*http.Request, middleware.Event) { panic(canary) }, Key: middleware.Header("X-API-Key"), RequireKey: true})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerDay(1), ratelimit.Config{}), config))(hello)
	wantStatus(t, h, call{key: "k"}, http.StatusOK)
	wantStatus(t, h, call{key: "k"}, http.StatusTooManyRequests)
	wantStatus(t, h, call{}, http.StatusUnauthorized)
	if got := r.faults(); !slices.Equal(got, []string{middleware.FaultObservePanic, middleware.FaultObservePanic, middleware.FaultObservePanic}) {
		t.Errorf("faults %q", got)
	}
	wantAbsent(t, r.log(), canary)
}

// TestObserveAllocatesNothing: neither the hook that is not set nor the event that it gets
// allocates.
func TestObserveAllocatesNothing(t *testing.T) {
	allocations := func(config middleware.Config) float64 {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerSecond(1000), ratelimit.Config{}), config))(bare)
		r, w := call{}.request(), &sink{header: http.Header{}}
		return testing.AllocsPerRun(200, func() { clear(w.header); h.ServeHTTP(w, r) })
	}
	denied := 0
	without := allocations(middleware.Config{})
	with := allocations(middleware.Config{Observe: func(_ *http.Request, e middleware.Event) {
		if !e.Served {
			denied++
		}
	}})
	if with > without {
		t.Errorf("%v allocations with Observe, %v without (%d were denied)", with, without, denied)
	}
}
