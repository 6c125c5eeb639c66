package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestDoor: a door limits by the pattern that it is given, answers as RateLimit does, and reports
// whether it has called the framework.
func TestDoor(t *testing.T) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(3), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := middleware.Config{Key: middleware.Header("X-API-Key"), ResultInContext: true}
	door, err := middleware.NewDoor(limiter, c, middleware.Route{Pattern: "GET /export/:id", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}})
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if key, ok := middleware.KeyFrom(r.Context()); !ok || key != "alice" {
			t.Errorf("the key is %q, %v", key, ok)
		}
		ran++
		w.WriteHeader(http.StatusTeapot)
	})
	for i, test := range []struct {
		pattern string
		status  int
		limit   string
	}{
		{"GET /export/:id", http.StatusTeapot, `"GET /export/:id";r=0`},
		{"GET /export/:id", http.StatusTooManyRequests, `"GET /export/:id";r=0`},
		{"GET /", http.StatusTeapot, `"default";r=1`},
		{"", http.StatusTeapot, `"default";r=0`},
		{"", http.StatusTooManyRequests, `"default";r=0`},
	} {
		w, r := httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/export/7", nil)
		r.Header.Set("X-API-Key", "alice")
		before := ran
		served := door.Serve(w, r, test.pattern, next)
		if w.Code != test.status || served != (ran > before) || served != (test.status == http.StatusTeapot) || !strings.HasPrefix(w.Header().Get("Ratelimit"), test.limit) {
			t.Errorf("call %d: %d, served: %v, %v", i, w.Code, served, w.Header())
		}
	}
}

// TestDoorFaults: the error names each fault.
func TestDoorFaults(t *testing.T) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(3), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = middleware.NewDoor(limiter, middleware.Config{RequireKey: true},
		middleware.Route{Limits: []ratelimit.Limit{ratelimit.PerDay(1)}}, middleware.Route{Pattern: "/a", Cost: -1}, middleware.Route{Pattern: "/a", Cost: 4})
	for _, want := range []string{"RequireKey", `routes[0] ""`, "Route.Pattern must be one of the framework", `routes[1] "/a"`, "must not be negative", `routes[2] "/a"`, "at most 3", "must differ"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %q", err, want)
		}
	}
	route := middleware.Route{Pattern: "/a", Limits: []ratelimit.Limit{ratelimit.PerDay(2).Named("daily")}}
	of, err := route.Limiter(limiter)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := of.Allow(t.Context(), "k"); err != nil || r.Len() != 2 || r.Limit().Name != "/a#daily" {
		t.Errorf("%v, %v", r, err)
	}
	if _, err := route.Limiter(nil); err == nil {
		t.Error("a nil limiter is not an error")
	}
	route.Cost = -1
	if _, err := route.Limiter(limiter); err == nil {
		t.Error("a negative cost is not an error")
	}
}

// TestDoorTwice: a door around a handler twice charges twice, and reports it once; another door
// inside, or another request, is no fault.
func TestDoorTwice(t *testing.T) {
	var log recorder
	limiter := newLimiter(t, ratelimit.PerHour(100), ratelimit.Config{})
	c := quiet(middleware.Config{OnFault: log.fault})
	outer, other := middleware.Must(middleware.NewDoor(limiter, c)), middleware.Must(middleware.NewDoor(limiter, c))
	within := func(inner *middleware.Door, change func(*http.Request) *http.Request) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			outer.Serve(w, r, "", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.Serve(w, change(r), "", hello) }))
		})
	}
	same := func(r *http.Request) *http.Request { return r }
	clone := func(r *http.Request) *http.Request { return r.Clone(r.Context()) }
	for _, h := range []http.Handler{within(other, same), within(outer, clone)} {
		wantStatus(t, h, call{}, http.StatusOK)
	}
	if len(log.classes) > 0 {
		t.Errorf("faults: %q", log.classes)
	}
	for range 3 {
		wantStatus(t, within(outer, same), call{}, http.StatusOK)
	}
	if got := strings.Join(log.classes, " "); got != middleware.FaultChargedTwice {
		t.Errorf("faults: %q", got)
	}
}
