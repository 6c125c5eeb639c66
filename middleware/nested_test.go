package middleware_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestNested: of two middlewares, the response has the headers of one.
func TestNested(t *testing.T) {
	minutely := ratelimit.PerMinute(60).Named("minutely")
	for _, c := range []struct {
		name         string
		outer, inner ratelimit.Limits
		shadow       string
		want         string // the limits that the response names
	}{
		{"inner tighter", minutely, five, "", `"default";q=5;w=1`},
		{"outer tighter", five, minutely, "", `"default";q=5;w=1`},
		{"same room", five.Named("outer"), five.Named("inner"), "", `"outer";q=5;w=1`},
		{"inner exempt", five, ratelimit.Unlimited, "", `"default";q=5;w=1`},
		{"outer exempt", ratelimit.Unlimited, five, "", `"default";q=5;w=1`},
		{"inner in shadow mode", minutely, five, "inner", `"minutely";q=60;w=60`},
		{"outer in shadow mode", five, minutely, "outer", `"minutely";q=60;w=60`},
	} {
		t.Run(c.name, func(t *testing.T) {
			outer := newLimiter(t, c.outer, ratelimit.Config{Shadow: c.shadow == "outer"})
			inner := newLimiter(t, c.inner, ratelimit.Config{Shadow: c.shadow == "inner"})
			h := middleware.Must(middleware.RateLimit(outer, middleware.Config{}))(middleware.Must(middleware.RateLimit(inner, middleware.Config{}))(hello))
			header := wantStatus(t, h, call{}, http.StatusOK).Header()
			if got := header[middleware.HeaderPolicy]; !slices.Equal(got, []string{c.want}) {
				t.Errorf("policies %q, want one line %q", got, c.want)
			}
			for _, name := range []string{middleware.HeaderRateLimit, middleware.HeaderLimit, middleware.HeaderRemaining} {
				if got := header[name]; len(got) != 1 {
					t.Errorf("%s: %q, want one line", name, got)
				}
			}
		})
	}

	t.Run("same limiter", func(t *testing.T) {
		limit := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), quiet(middleware.Config{})))
		header := wantStatus(t, limit(http.HandlerFunc(limit(hello).ServeHTTP)), call{}, http.StatusOK).Header()
		if got := header.Get(middleware.HeaderRemaining); got != "3" {
			t.Errorf("%s remain, want 3: both have charged", got)
		}
		header = wantStatus(t, limit(limit(hello)), call{}, http.StatusOK).Header()
		if got := header.Get(middleware.HeaderRemaining); got != "2" {
			t.Errorf("%s remain, want 2: directly twice is once", got)
		}
	})

	t.Run("headers of another handler", func(t *testing.T) {
		limit := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(100), ratelimit.Config{}), middleware.Config{}))(hello)
		for _, header := range []http.Header{
			{middleware.HeaderRemaining: {"1"}},
			{middleware.HeaderRemaining: {"1", "1"}, middleware.HeaderRateLimit: {`"a";r=1`}},
			{middleware.HeaderRemaining: {"few"}, middleware.HeaderRateLimit: {`"a";r=1`}},
			{middleware.HeaderRateLimit: {`"a";r=1`}},
		} {
			w := httptest.NewRecorder()
			w.HeaderMap = header //nolint:staticcheck // what an outer middleware did
			limit.ServeHTTP(w, call{}.request())
			if got := w.Header()[middleware.HeaderPolicy]; len(got) != 1 {
				t.Errorf("policies %q, want one line", got)
			}
			if got := w.Header()[middleware.HeaderRemaining]; len(got) != 1 || got[0] == "1" || got[0] == "few" {
				t.Errorf("remaining %q, want ours", got)
			}
		}
	})
}
