package middleware_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestWindowBelowASecond: where whole seconds say much less than what the limit allows,
// a parameter has the window; elsewhere the field is as it always was.
func TestWindowBelowASecond(t *testing.T) {
	for _, c := range []struct {
		limit ratelimit.Limit
		want  string
	}{
		{ratelimit.PerSecond(5), `"default";q=5;w=1`},
		{ratelimit.PerSecond(5).WithBurst(1), `"default";q=1;w=1;keyrate-window-us=200000`},
		{ratelimit.PerSecond(5).WithBurst(2), `"default";q=2;w=1;keyrate-window-us=400000`},
		{ratelimit.PerSecond(5).WithBurst(10), `"default";q=10;w=2`},
		{ratelimit.PerSecond(5).WithBurst(11), `"default";q=11;w=3;keyrate-window-us=2200000`},
		{ratelimit.PerSecond(3).WithBurst(1), `"default";q=1;w=1;keyrate-window-us=333334`}, // rounded up
		{ratelimit.PerMinute(40).WithBurst(1), `"default";q=1;w=2;keyrate-window-us=1500000`},
		{ratelimit.Limit{Rate: 1, Period: time.Microsecond, Burst: 1}, `"default";q=1;w=1;keyrate-window-us=1`},
		{ratelimit.PerDay(1000).WithBurst(4), `"default";q=4;w=346`}, // by a thousandth
		{ratelimit.PerMinute(100).WithBurst(35), `"default";q=35;w=21`},
	} {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, policy(t, c.limit), ratelimit.Config{}), middleware.Config{}))(hello)
		if got := (call{}).to(h).Header().Get(middleware.HeaderPolicy); got != c.want {
			t.Errorf("%v: %s, want %s", c.limit, got, c.want)
		}
	}
}
