package pace_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestSmallBurst: a server rounds its windows to whole seconds, so that for a bucket
// which is full again sooner it reports less than it admits, but for a parameter of its
// own. Nearly all of the limit is used, with hardly a refusal.
func TestSmallBurst(t *testing.T) {
	for _, c := range []struct {
		limit ratelimit.Limit
		used  float64 // of the limit, at least
	}{
		{ratelimit.PerSecond(5).WithBurst(1), 0.95},
		{ratelimit.PerSecond(3).WithBurst(1), 0.95},
		{ratelimit.PerSecond(20).WithBurst(1), 0.9},
		{ratelimit.PerSecond(100).WithBurst(1), 0.72}, // the way takes a fifth of a token's time
		{ratelimit.PerSecond(5).WithBurst(2), 0.95},
		{ratelimit.PerSecond(20).WithBurst(2), 0.92},
		{ratelimit.PerSecond(5).WithBurst(3), 0.95},
		{ratelimit.PerSecond(20).WithBurst(3), 0.95},
		{ratelimit.PerSecond(20).WithBurst(5), 0.95},
		{ratelimit.PerSecond(100).WithBurst(10), 0.95},
		{ratelimit.PerSecond(5).WithBurst(6), 0.95},
		{ratelimit.PerSecond(5).WithBurst(11), 0.95},
	} {
		for _, workers := range []int{1, 20} {
			t.Run(fmt.Sprint(c.limit, " ", workers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := network{keyrateServer(t, c.limit, middleware.Config{}), time.Millisecond, 3 * time.Millisecond}
					got := work(t, n, workers, time.Minute)
					t.Logf("%d finished, %d refused, %d errors", got.total(), got.refused, got.errors)
					if got.errors > 0 || float64(got.refused) > 0.01*float64(got.sent) {
						t.Errorf("%d of %d were refused, %d errors", got.refused, got.sent, got.errors)
					}
					if used := float64(got.total()) / float64(60*c.limit.Rate); used < c.used {
						t.Errorf("%.2f of the limit were used, want %.2f at least", used, c.used)
					}
				})
			})
		}
	}
}

// TestSmallBurstFarAway is TestSmallBurst over longer ways, of which the time is lost by
// which they differ.
func TestSmallBurstFarAway(t *testing.T) {
	for _, c := range []struct {
		limit       ratelimit.Limit
		least, most time.Duration
		used        float64
	}{
		{ratelimit.PerSecond(5).WithBurst(1), 5 * time.Millisecond, 15 * time.Millisecond, 0.9},
		{ratelimit.PerSecond(5).WithBurst(2), 5 * time.Millisecond, 15 * time.Millisecond, 0.95},
		{ratelimit.PerSecond(20).WithBurst(1), 5 * time.Millisecond, 15 * time.Millisecond, 0.7},
		{ratelimit.PerSecond(5).WithBurst(1), 80 * time.Millisecond, 120 * time.Millisecond, 0.7},
		{ratelimit.PerSecond(5).WithBurst(1), 100 * time.Millisecond, 101 * time.Millisecond, 0.8},
		{ratelimit.PerSecond(5).WithBurst(2), 80 * time.Millisecond, 120 * time.Millisecond, 0.9},
	} {
		t.Run(fmt.Sprint(c.limit, " ", c.most), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := work(t, network{keyrateServer(t, c.limit, middleware.Config{}), c.least, c.most}, 20, 2*time.Minute)
				used := float64(got.total()) / float64(120*c.limit.Rate)
				t.Logf("%d finished (%.0f %%), %d refused, %d errors", got.total(), 100*used, got.refused, got.errors)
				if got.errors > 0 || float64(got.refused) > 0.01*float64(got.sent) || used < c.used {
					t.Errorf("want no errors, at most a hundredth refused, and %g of the limit", c.used)
				}
			})
		})
	}
}

// TestNoFasterThanTold: windows that are as they are told are kept to, also small ones,
// where what remains looks like a bucket for a while.
func TestNoFasterThanTold(t *testing.T) {
	tell := func(h http.Header, quota, remaining int, ends time.Time, refused bool) {
		h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=1`, quota))
		h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=1`, remaining))
		if refused {
			h.Set("Retry-After", "1")
		}
	}
	for quota := 1; quota <= 4; quota++ {
		synctest.Test(t, func(t *testing.T) {
			n := network{&windowServer{quota: quota, window: time.Second, status: 429, tell: tell}, time.Millisecond, 3 * time.Millisecond}
			got := work(t, n, 20, time.Minute)
			t.Logf("%d a second: %d finished, %d refused, %d errors", quota, got.total(), got.refused, got.errors)
			if got.errors > 0 || float64(got.refused) > 0.02*float64(got.sent) || got.total() < 40*quota {
				t.Errorf("%d a second: %d finished, %d of %d refused, %d errors", quota, got.total(), got.refused, got.sent, got.errors)
			}
		})
	}
}

// TestRemainingIsWrong: of a server that always tells the same, callers who go faster
// are hardly refused.
func TestRemainingIsWrong(t *testing.T) {
	for quota := 2; quota <= 3; quota++ {
		synctest.Test(t, func(t *testing.T) {
			server := telling(t, ratelimit.PerSecond(quota), func(h http.Header, r ratelimit.Result) {
				h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=1`, quota))
				h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=1`, quota-1))
				tellRetryAfter(h, r)
			})
			got := work(t, network{server, time.Millisecond, 3 * time.Millisecond}, 20, 5*time.Minute)
			t.Logf("%d a second: %d finished, %d of %d refused, %d errors", quota, got.total(), got.refused, got.sent, got.errors)
			if got.errors > 0 || float64(got.refused) > 0.02*float64(got.sent) {
				t.Error("want no errors, and at most a fiftieth refused")
			}
		})
	}
}
