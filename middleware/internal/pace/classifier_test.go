package pace_test

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

func reportDelta(h http.Header, quota, remaining int, ends time.Time, _ bool) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(quota))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(remaining))
	h.Set("X-RateLimit-Reset", strconv.Itoa(int((time.Until(ends)+time.Second-1)/time.Second)))
}

func reportAnthropicWindow(h http.Header, quota, remaining int, ends time.Time, _ bool) {
	h.Set("Anthropic-Ratelimit-Requests-Limit", strconv.Itoa(quota))
	h.Set("Anthropic-Ratelimit-Requests-Remaining", strconv.Itoa(remaining))
	h.Set("Anthropic-Ratelimit-Requests-Reset", time.Unix(ceil(ends), 0).UTC().Format(time.RFC3339))
}

func reportOpenAIWindow(h http.Header, quota, remaining int, ends time.Time, _ bool) {
	h.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(quota))
	h.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(remaining))
	h.Set("X-Ratelimit-Reset-Requests", time.Until(ends).Round(time.Millisecond).String())
}

func reportThrottled(h http.Header, r ratelimit.Result) {
	h.Set("X-RateLimit-Limit", strconv.Itoa(r.Limit().Burst))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(r.Remaining()))
	h.Set("X-RateLimit-Reset", strconv.Itoa(int((r.ResetAfter()+time.Second-1)/time.Second)))
	reportRetryAfter(h, r)
}

// TestNotCharged checks that requests that are not charged, and look as if tokens came
// back, do not make a window look like a bucket.
func TestNotCharged(t *testing.T) {
	for _, c := range []struct {
		name   string
		quota  int
		window time.Duration
		free   int
		report func(http.Header, int, int, time.Time, bool)
		first  int // served in the first minute, at most
	}{
		{"GitHub, three of 304", 5000, time.Hour, 3, reportGitHub, 620},
		{"GitHub, none", 5000, time.Hour, 0, reportGitHub, 620},
		{"GitHub, fifty of 304", 5000, time.Hour, 50, reportGitHub, 620},
		{"GitHub, a minute", 600, time.Minute, 10, reportGitHub, 620},
		{"seconds, a quarter of an hour", 900, 15 * time.Minute, 5, reportDelta, 180},
		{"seconds, half a minute", 100, 30 * time.Second, 5, reportDelta, 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &windowServer{quota: c.quota, window: c.window, status: http.StatusForbidden, report: c.report}
				n := network{server, 5 * time.Millisecond, 15 * time.Millisecond}
				tr := watch(t, n)
				do(t, tr, request(t, "https://api.example.com/"))
				server.free = c.free
				for range c.free {
					do(t, tr, request(t, "https://api.example.com/"))
				}
				got := workOn(t, 20, time.Minute, tr)
				t.Logf("in the first minute: %d finished, %d sent, %d denied, %d errors", got.total(), got.sent, got.denied, got.errors)
				if got.errors > 0 || got.denied > got.sent/100 || got.total() > c.first {
					t.Errorf("want no errors, at most a hundredth denied, and at most %d finished", c.first)
				}
				got = workOn(t, 20, 9*time.Minute, tr)
				t.Logf("in nine more: %d finished, %d sent, %d denied, %d errors", got.total(), got.sent, got.denied, got.errors)
				if limit := float64(c.quota) * float64(9*time.Minute) / float64(c.window); got.errors > 0 || got.denied > got.sent/100 || float64(got.total()) < 0.8*limit {
					t.Errorf("want no errors, at most a hundredth denied, and most of %.0f finished", limit)
				}
			})
		})
	}
}

// TestRefillsAreRecognized checks that buckets that are reported as windows are used at
// their rate.
func TestRefillsAreRecognized(t *testing.T) {
	for _, c := range []struct {
		name   string
		limit  ratelimit.Limit
		report func(http.Header, ratelimit.Result)
	}{
		{"throttled, 6 at 1 a second", ratelimit.PerSecond(1).WithBurst(6), reportThrottled},
		{"throttled, 30 at 2 a second", ratelimit.PerSecond(2).WithBurst(30), reportThrottled},
		{"throttled, 10 at 5 a second", ratelimit.PerSecond(5).WithBurst(10), reportThrottled},
		{"GitHub's headers, 60 at 1 a second", ratelimit.PerSecond(1).WithBurst(60), reportGitHubOfBucket},
		{"GitHub's headers, 5000 an hour", ratelimit.PerHour(5000), reportGitHubOfBucket},
	} {
		for _, workers := range []int{1, 20} {
			t.Run(c.name+" "+strconv.Itoa(workers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := network{bucketServer(t, c.limit, c.report), 5 * time.Millisecond, 15 * time.Millisecond}
					got := work(t, n, workers, 10*time.Minute)
					limit := 600 * float64(c.limit.Rate) / c.limit.Period.Seconds()
					t.Logf("%d finished of %.0f, %d sent, %d denied, %d errors", got.total(), limit, got.sent, got.denied, got.errors)
					if got.errors > 0 || got.denied > got.sent/100 || float64(got.total()) < 0.95*limit {
						t.Error("want no errors, at most a hundredth denied, and nearly all of the limit")
					}
				})
			})
		}
	}
}

// TestWindowInWordsOfBuckets checks that windows that are reported as buckets are kept
// to.
func TestWindowInWordsOfBuckets(t *testing.T) {
	for _, c := range []struct {
		name   string
		quota  int
		window time.Duration
		report func(http.Header, int, int, time.Time, bool)
	}{
		{"Anthropic, 50 in 30 s", 50, 30 * time.Second, reportAnthropicWindow},
		{"Anthropic, 50 in a minute", 50, time.Minute, reportAnthropicWindow},
		{"Anthropic, 300 in a minute", 300, time.Minute, reportAnthropicWindow},
		{"OpenAI, 50 in 30 s", 50, 30 * time.Second, reportOpenAIWindow},
		{"OpenAI, 200 in a minute", 200, time.Minute, reportOpenAIWindow},
	} {
		for _, workers := range []int{1, 20} {
			t.Run(c.name+" "+strconv.Itoa(workers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					time.Sleep(7 * time.Second)
					server := &windowServer{quota: c.quota, window: c.window, status: http.StatusTooManyRequests, report: c.report}
					got := work(t, network{server, 5 * time.Millisecond, 15 * time.Millisecond}, workers, 10*time.Minute)
					limit := float64(c.quota) * float64(10*time.Minute) / float64(c.window)
					t.Logf("%d finished of %.0f, %d sent, %d denied, %d errors", got.total(), limit, got.sent, got.denied, got.errors)
					if got.errors > 0 || got.denied > got.sent/100 || float64(got.total()) < 0.85*limit {
						t.Error("want no errors, at most a hundredth denied, and most of the limit")
					}
				})
			})
		}
	}
}

// TestReplicas checks windows that two replicas count apart for a while, so that what
// remains seems to grow. More denials are needed the further apart they are: with 20,
// up to 25 of 3000 requests in 400 runs.
func TestReplicas(t *testing.T) {
	for _, apart := range []int{2, 5, 20} {
		t.Run(strconv.Itoa(apart), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				server := &windowServer{quota: 300, window: time.Minute, status: http.StatusForbidden, report: func(h http.Header, quota, remaining int, ends time.Time, denied bool) {
					if rand.N(2) == 0 && !denied {
						remaining = min(remaining+rand.N(apart+1), quota-1)
					}
					reportGitHub(h, quota, remaining, ends, denied)
				}}
				got := work(t, network{server, 5 * time.Millisecond, 15 * time.Millisecond}, 20, 10*time.Minute)
				t.Logf("%d finished, %d sent, %d denied, %d errors", got.total(), got.sent, got.denied, got.errors)
				if got.errors > 0 || got.denied > got.sent*(10+apart/4)/1000 || got.total() < 2700 {
					t.Errorf("want no errors, at most %d in 1000 denied, and at least 2700 finished", 10+apart/4)
				}
			})
		})
	}
}
