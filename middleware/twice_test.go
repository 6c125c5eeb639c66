package middleware_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestChargedTwice: one limiter twice around one handler is reported, once, and what only
// looks like it is not.
func TestChargedTwice(t *testing.T) {
	key := middleware.Header("X-API-Key")
	under := func(h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/a", h)
		mux.Handle("/", hello)
		return mux
	}
	for _, c := range []struct {
		name  string
		build func(t *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler
		found bool
	}{
		{"under a mux", func(_ *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			limit := middleware.Must(middleware.RateLimit(l, c))
			return limit(under(limit(hello)))
		}, true},
		{"behind another middleware", func(_ *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			limit := middleware.Must(middleware.RateLimit(l, c))
			return limit(http.StripPrefix("/", limit(hello)))
		}, true},
		{"once", func(_ *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			return middleware.Must(middleware.RateLimit(l, c))(under(hello))
		}, false},
		{"side by side", func(_ *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			limit := middleware.Must(middleware.RateLimit(l, c))
			mux := http.NewServeMux()
			mux.Handle("/a", limit(hello))
			mux.Handle("/", limit(hello))
			return mux
		}, false},
		{"by key and by address", func(_ *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			byAddress := c
			byAddress.Key = middleware.Key{}
			return middleware.Must(middleware.RateLimit(l, byAddress))(middleware.Must(middleware.RateLimit(l, c))(hello))
		}, false},
		{"another limiter", func(t *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			return middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), c))(middleware.Must(middleware.RateLimit(l, c))(hello))
		}, false},
		{"a request that a handler makes", func(_ *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			limit := middleware.Must(middleware.RateLimit(l, c))
			inner := limit(hello)
			return limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { inner.ServeHTTP(w, r.Clone(r.Context())) }))
		}, false},
		{"the same gate again", func(_ *testing.T, l *ratelimit.Limiter, c middleware.Config) http.Handler {
			var gate http.Handler
			gate = middleware.Must(middleware.RateLimit(l, c))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/a" {
					r.URL.Path = "/b"
					gate.ServeHTTP(w, r)
				}
			}))
			return gate
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r recorder
			h := c.build(t, newLimiter(t, ratelimit.PerHour(1000), ratelimit.Config{}), r.watch(middleware.Config{Key: key}))
			var want []string
			if c.found {
				want = []string{middleware.FaultChargedTwice}
			}
			if r.logged() != 0 {
				t.Errorf("log %q", r.log())
			}
			targets := []string{"/a", "/other"}
			if c.name == "under a mux" { // of one middleware, it is found late, too
				slices.Reverse(targets)
			}
			for _, target := range targets {
				for range 5 {
					call{target: target, key: canary}.to(h)
				}
			}
			if got := r.faults(); !slices.Equal(got, want) {
				t.Errorf("faults %q, want %q", got, want)
			}
			wantAbsent(t, r.log(), canary)
		})
	}
}

// TestSameMiddlewareDirectlyTwice: it charges once, and says so.
func TestSameMiddlewareDirectlyTwice(t *testing.T) {
	var r recorder
	limit := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerDay(5), ratelimit.Config{}), r.watch(middleware.Config{})))
	h := limit(limit(limit(hello)))
	if n := (call{}).exhaust(t, h); n != 5 {
		t.Errorf("%d calls were served, want 5", n)
	}
	if want := []string{middleware.FaultChargedTwice, middleware.FaultChargedTwice}; r.logged() != 1 || !slices.Equal(r.faults(), want) {
		t.Errorf("log %q, faults %q", r.log(), r.faults())
	}
}
