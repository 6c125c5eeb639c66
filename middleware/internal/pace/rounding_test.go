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

// TestSmallBurst checks that almost all of a small bucket is used, with almost no denial,
// although its server rounds windows to seconds and so reports less than it admits.
func TestSmallBurst(t *testing.T) {
	for _, c := range []struct {
		limit ratelimit.Limit
		used  float64 // of the limit, at least
	}{
		{ratelimit.PerSecond(5).WithBurst(1), 0.95},
		{ratelimit.PerSecond(3).WithBurst(1), 0.95},
		{ratelimit.PerSecond(20).WithBurst(1), 0.9},
		{ratelimit.PerSecond(100).WithBurst(1), 0.72}, // the round trip takes a fifth of a token's time
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
					t.Logf("%d finished, %d denied, %d errors", got.total(), got.denied, got.errors)
					if got.errors > 0 || float64(got.denied) > 0.01*float64(got.sent) {
						t.Errorf("%d of %d were denied, %d errors", got.denied, got.sent, got.errors)
					}
					if used := float64(got.total()) / float64(60*c.limit.Rate); used < c.used {
						t.Errorf("%.2f of the limit were used, want %.2f at least", used, c.used)
					}
				})
			})
		}
	}
}

// TestSmallBurstFarAway is TestSmallBurst over longer round trips, whose variation
// costs throughput.
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
				t.Logf("%d finished (%.0f %%), %d denied, %d errors", got.total(), 100*used, got.denied, got.errors)
				if got.errors > 0 || float64(got.denied) > 0.01*float64(got.sent) || used < c.used {
					t.Errorf("want no errors, at most a hundredth denied, and %g of the limit", c.used)
				}
			})
		})
	}
}

// TestNoFasterThanReported checks that small windows, which look like buckets for a
// while, are kept to.
func TestNoFasterThanReported(t *testing.T) {
	report := func(h http.Header, quota, remaining int, ends time.Time, denied bool) {
		h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=1`, quota))
		h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=1`, remaining))
		if denied {
			h.Set("Retry-After", "1")
		}
	}
	for quota := 1; quota <= 4; quota++ {
		synctest.Test(t, func(t *testing.T) {
			n := network{&windowServer{quota: quota, window: time.Second, status: 429, report: report}, time.Millisecond, 3 * time.Millisecond}
			got := work(t, n, 20, time.Minute)
			t.Logf("%d a second: %d finished, %d denied, %d errors", quota, got.total(), got.denied, got.errors)
			if got.errors > 0 || float64(got.denied) > 0.02*float64(got.sent) || got.total() < 40*quota {
				t.Errorf("%d a second: %d finished, %d of %d denied, %d errors", quota, got.total(), got.denied, got.sent, got.errors)
			}
		})
	}
}

// TestRemainingIsWrong checks that few requests are denied by a server that always
// reports the same remainder.
func TestRemainingIsWrong(t *testing.T) {
	for quota := 2; quota <= 3; quota++ {
		synctest.Test(t, func(t *testing.T) {
			server := bucketServer(t, ratelimit.PerSecond(quota), func(h http.Header, r ratelimit.Result) {
				h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=1`, quota))
				h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=1`, quota-1))
				reportRetryAfter(h, r)
			})
			got := work(t, network{server, time.Millisecond, 3 * time.Millisecond}, 20, 5*time.Minute)
			t.Logf("%d a second: %d finished, %d of %d denied, %d errors", quota, got.total(), got.denied, got.sent, got.errors)
			if got.errors > 0 || float64(got.denied) > 0.02*float64(got.sent) {
				t.Error("want no errors, and at most a fiftieth denied")
			}
		})
	}
}
