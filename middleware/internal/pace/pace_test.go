package pace_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestSlowServer checks that all of a limit is used if responses take longer than a
// token to come back.
func TestSlowServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := keyrateServer(t, ratelimit.PerSecond(5), middleware.Config{})
		slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			limited.ServeHTTP(w, r)
			time.Sleep(500*time.Millisecond + rand.N(500*time.Millisecond))
		})
		got := work(t, network{slow, 5 * time.Millisecond, 15 * time.Millisecond}, 20, time.Minute)
		t.Logf("%d finished, %d sent, %d denied, %d errors", got.total(), got.sent, got.denied, got.errors)
		if got.errors > 0 || got.total() < 270 || got.denied > got.sent/50 {
			t.Error("want no errors, at least 270 finished, and at most a fiftieth denied")
		}
	})
}

// TestTwentyWorkers checks the promise of a Transport: for a minute at 5 a second,
// almost no call is denied, almost all of the limit is used, and no worker starves.
func TestTwentyWorkers(t *testing.T) {
	five := ratelimit.PerSecond(5)
	spread := ratelimit.PerMinute(300) // the same rate, in a bucket of 300
	key := middleware.Config{Key: middleware.Header("X-API-Key")}
	epoch, period := key, key
	epoch.ResetHeader = middleware.ResetAsEpoch
	period.LimitHeader = middleware.LimitAsPeriod
	window := func(quota int, long time.Duration, status int, report func(http.Header, int, int, time.Time, bool)) func(testing.TB) http.Handler {
		return func(testing.TB) http.Handler {
			return &windowServer{quota: quota, window: long, status: status, report: report}
		}
	}
	bucket := func(l ratelimit.Limits, report func(http.Header, ratelimit.Result)) func(testing.TB) http.Handler {
		return func(t testing.TB) http.Handler { return bucketServer(t, l, report) }
	}
	keyrate := func(l ratelimit.Limits, c middleware.Config) func(testing.TB) http.Handler {
		return func(t testing.TB) http.Handler { return keyrateServer(t, l, c) }
	}
	two, err := ratelimit.NewPolicy(five, ratelimit.PerHour(1000).Named("hourly"))
	if err != nil {
		t.Fatal(err)
	}
	reportPolicy := func(h http.Header, quota, remaining int, ends time.Time, denied bool) {
		left := (time.Until(ends) + time.Second - 1) / time.Second
		h.Set("RateLimit-Policy", fmt.Sprintf(`"default";q=%d;w=10`, quota))
		h.Set("RateLimit", fmt.Sprintf(`"default";r=%d;t=%d`, remaining, left))
		if denied {
			h.Set("Retry-After", strconv.Itoa(int(left)))
		}
	}
	for _, c := range []struct {
		name   string
		server func(testing.TB) http.Handler
		denied float64 // at most, of the calls
		used   float64 // at least, of the limit
		near   bool    // for short round trips only
	}{
		{"keyrate", keyrate(five, key), 0.01, 0.95, false},
		{"keyrate, two limits", keyrate(two, key), 0.01, 0.95, false},
		{"keyrate, with a period", keyrate(five, period), 0.01, 0.95, false},
		{"keyrate, with an epoch", keyrate(five, epoch), 0.01, 0.95, false},
		{"keyrate, with a larger bucket", keyrate(five.WithBurst(20), key), 0.01, 0.95, false},
		// It looks like a bucket until the first denial, at the end of the first window.
		{"a window with a policy", window(50, 10*time.Second, 429, reportPolicy), 0.02, 0.85, false},
		{"GitHub, a minute", window(300, time.Minute, 403, reportGitHub), 0.01, 0.95, false},
		{"GitHub, ten seconds", window(50, 10*time.Second, 429, reportGitHub), 0.01, 0.95, false},
		{"GitHub, a second", window(5, time.Second, 429, reportGitHub), 0.01, 0.95, false},
		// A server may report when its bucket is full in the form of a window. Nearby
		// clients recognize the bucket.
		{"GitHub's headers for a bucket", bucket(five, reportGitHubOfBucket), 0.01, 0.95, true},
		{"OpenAI", bucket(spread, reportOpenAI), 0.01, 0.95, false},
		{"OpenAI, a small bucket", bucket(five, reportOpenAI), 0.01, 0.95, false},
		{"Anthropic", bucket(spread, reportAnthropic), 0.01, 0.95, false},
		{"Anthropic, a small bucket", bucket(five, reportAnthropic), 0.01, 0.95, false},
		{"Shopify", bucket(five.WithBurst(100), reportShopify), 0.01, 0.95, false},
		{"Shopify, a smaller bucket", bucket(five.WithBurst(40), reportShopify), 0.01, 0.95, false},
		{"Shopify, a small bucket", bucket(five, reportShopify), 0.01, 0.95, false},
		{"what remains and no time", bucket(five, reportRemaining), 0.01, 0.95, false},
		{"Retry-After", bucket(five, reportRetryAfter), 0.15, 0.80, false},
	} {
		for _, way := range []struct {
			name        string
			least, most time.Duration
		}{
			{"in 2 ms", time.Millisecond, time.Millisecond},
			{"in 20 ms", 5 * time.Millisecond, 15 * time.Millisecond},
			{"in 200 ms", 80 * time.Millisecond, 120 * time.Millisecond},
		} {
			if c.near && way.most > 50*time.Millisecond {
				continue
			}
			t.Run(c.name+" "+way.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(rand.N(time.Second)) // not at the beginning of a window
					const workers, limit = 20, 300
					got := work(t, network{c.server(t), way.least, way.most}, workers, time.Minute)
					total := got.total()
					t.Logf("%d finished (%.1f%% of the limit), %d sent, %d denied (%.2f%%), %d errors, a worker %d to %d",
						total, 100*float64(total)/limit, got.sent, got.denied, 100*float64(got.denied)/float64(got.sent), got.errors,
						slices.Min(got.finished), slices.Max(got.finished))
					if got.errors > 0 {
						t.Errorf("%d calls were lost", got.errors)
					}
					if float64(got.denied) > c.denied*float64(got.sent) {
						t.Errorf("%d of %d were denied, want at most %g of them", got.denied, got.sent, c.denied)
					}
					if float64(total) < c.used*limit {
						t.Errorf("%d of %d finished, want at least %g of them", total, limit, c.used)
					}
					share := float64(total) / workers
					for i, n := range got.finished {
						if float64(n) < 0.7*share || float64(n) > 1.3*share {
							t.Errorf("worker %d finished %d, the mean is %.1f", i, n, share)
						}
					}
				})
			})
		}
	}
}

// TestSingleCallerIsNotDenied checks that one caller that calls without a pause is
// never denied.
func TestSingleCallerIsNotDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := work(t, network{handler: keyrateServer(t, ratelimit.PerMinute(10), middleware.Config{}), least: time.Millisecond, most: time.Millisecond}, 1, 10*time.Minute)
		if c.denied > 0 || c.finished[0] < 95 {
			t.Errorf("%d denied, %d finished", c.denied, c.finished[0])
		}
	})
}
