package middleware_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// waitOf returns the Retry-After-Ms of a denial.
func waitOf(t *testing.T, h http.Handler, c call) int {
	t.Helper()
	w := wantStatus(t, h, c, http.StatusTooManyRequests)
	ms, err := strconv.Atoi(w.Header().Get(middleware.HeaderRetryAfterMs))
	if err != nil {
		t.Fatal(err)
	}
	seconds := strconv.Itoa((ms + 999) / 1000)
	if got := w.Header().Get(middleware.HeaderRetryAfter); got != seconds {
		t.Errorf("Retry-After %s beside %d ms, want %s", got, ms, seconds)
	}
	return ms
}

// over returns the call as it comes over another connection.
func (c call) over(conn int) call {
	c.peer = fmt.Sprintf("192.0.2.1:%d", 1000+conn)
	return c
}

func (c call) waits(t *testing.T, h http.Handler, n int) []int {
	t.Helper()
	var all []int
	for i := range n {
		all = append(all, waitOf(t, h, c.over(i)))
	}
	return all
}

func wantWaits(t *testing.T, what string, got, want []int) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: waits of %v ms, want %v", what, got, want)
	}
}

// TestPlaces: clients that are denied together get different waits, a token's time
// apart, up to one refill after the bucket has room.
func TestPlaces(t *testing.T) {
	for _, c := range []struct {
		limit ratelimit.Limit
		cost  int
		calls int // that empty the bucket
		want  []int
	}{
		{five, 1, 5, []int{200, 400, 600, 800, 1000, 1200, 1200, 1200}},
		{five.WithBurst(1), 1, 1, []int{200, 400, 400}},
		{ratelimit.PerMinute(60).WithBurst(4), 1, 4, []int{1000, 2000, 3000, 4000, 5000, 5000}},
		{ratelimit.PerHour(2), 1, 2, []int{1800000, 3600000, 5400000, 5400000}},
		{five.WithBurst(6), 3, 2, []int{600, 1200, 1800, 1800}},
		{ratelimit.Limit{Rate: 3, Period: time.Second}, 1, 3, []int{334, 667, 1001, 1334, 1334}},
	} {
		t.Run(c.limit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := middleware.Must(middleware.RateLimit(newLimiter(t, c.limit, ratelimit.Config{}), middleware.Config{
					Key: middleware.Header("X-API-Key"), Cost: func(*http.Request) int { return c.cost },
				}))(hello)
				for range c.calls {
					wantStatus(t, h, call{key: "a"}, http.StatusOK)
				}
				wantWaits(t, "together", call{key: "a"}.waits(t, h, len(c.want)), c.want)
			})
		})
	}
}

// TestPlacesAreKept: each client that comes back after its wait is served, and so is the
// next one.
func TestPlacesAreKept(t *testing.T) {
	for _, unit := range []time.Duration{time.Millisecond, time.Second} {
		t.Run(unit.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
				call{key: "k"}.drain(h)
				waits := call{key: "k"}.waits(t, h, 6)
				var wg sync.WaitGroup
				for i, ms := range waits {
					wg.Go(func() {
						wait := time.Duration(ms) * time.Millisecond
						time.Sleep((wait + unit - 1).Truncate(unit))
						wantStatus(t, h, call{key: "k"}.over(i), http.StatusOK)
					})
				}
				wg.Wait()
			})
		})
	}
}

// drain takes what the bucket of 5/s holds.
func (c call) drain(h http.Handler) {
	for range 5 {
		c.to(h)
	}
}

// TestPlacesLoneCaller: a client alone gets the same wait as without a queue, whether
// it waits for as long or comes back early, and is served then.
func TestPlacesLoneCaller(t *testing.T) {
	for name, sleep := range map[string]func(ms int) time.Duration{
		"obeys":         func(ms int) time.Duration { return time.Duration(ms) * time.Millisecond },
		"whole seconds": func(ms int) time.Duration { return time.Duration((ms+999)/1000) * time.Second },
		"half":          func(ms int) time.Duration { return max(time.Duration(ms)*time.Millisecond/2, 110*time.Millisecond) },
		"every 110 ms":  func(int) time.Duration { return 110 * time.Millisecond },
		"every 150 ms":  func(int) time.Duration { return 150 * time.Millisecond },
	} {
		for _, limit := range []ratelimit.Limit{five, five.WithBurst(1), ratelimit.PerMinute(30), ratelimit.PerDay(100).WithBurst(2)} {
			t.Run(name+" "+limit.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					backend := memstore.New(memstore.Config{})
					queue := middleware.Must(middleware.RateLimit(limiterOn(t, backend, limit, ratelimit.Config{}), byKey))(hello)
					plain := middleware.Must(middleware.RateLimit(limiterOn(t, backend, limit, ratelimit.Config{}), middleware.Config{Key: byKey.Key, DisableQueue: true}))(hello)
					for range 200 {
						w := call{key: "k"}.to(queue)
						if w.Code == http.StatusOK {
							continue
						}
						want := waitOf(t, plain, call{key: "k"})
						if got := w.Header().Get(middleware.HeaderRetryAfterMs); got != strconv.Itoa(want) {
							t.Fatalf("a wait of %s ms, want %d as without a queue", got, want)
						}
						time.Sleep(sleep(want))
					}
				})
			})
		}
	}
}

// TestPlacesEarly: a caller that comes back early keeps its place, and moves no
// other.
func TestPlacesEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerMinute(10), ratelimit.Config{}), byKey))(hello)
		for range 10 {
			call{key: "k"}.to(h)
		}
		first, second := call{key: "k"}.over(1), call{key: "k"}.over(2)
		wantWaits(t, "at once", []int{waitOf(t, h, first), waitOf(t, h, second)}, []int{6000, 12000})
		for range 10 {
			time.Sleep(500 * time.Millisecond)
			waitOf(t, h, second)
		}
		wantWaits(t, "after 5 s", []int{waitOf(t, h, second), waitOf(t, h, call{key: "k"}.over(3))}, []int{7000 + 6000, 7000 + 12000})
		time.Sleep(time.Second)
		wantStatus(t, h, first, http.StatusOK)
	})
}

// TestPlacesForgotten: a queue is over when the bucket has had room for all in it.
func TestPlacesForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		call{key: "k"}.drain(h)
		call{key: "k"}.waits(t, h, 20)
		time.Sleep(3 * time.Second)
		call{key: "k"}.drain(h)
		wantWaits(t, "later", call{key: "k"}.waits(t, h, 2), []int{200, 400})
	})
}

// TestPlacesHammered: beside a client that calls all the time, a place behind its calls is
// worth nothing, so others get the same wait as without a queue.
func TestPlacesHammered(t *testing.T) {
	served := map[bool]int{}
	for _, disable := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Key: byKey.Key, DisableQueue: disable}))(hello)
			end := time.Now().Add(time.Minute)
			var wg sync.WaitGroup
			wg.Go(func() {
				for time.Now().Before(end) {
					call{key: "k"}.over(1).to(h)
					time.Sleep(23 * time.Millisecond)
				}
			})
			wg.Go(func() {
				for time.Now().Before(end) {
					w := call{key: "k"}.over(2).to(h)
					if w.Code == http.StatusOK {
						served[disable]++
					}
					ms, _ := strconv.Atoi(w.Header().Get(middleware.HeaderRetryAfterMs))
					time.Sleep(time.Duration(max(ms, 1)) * time.Millisecond)
				}
			})
			wg.Wait()
		})
	}
	if with, without := served[false], served[true]; with < without*9/10 {
		t.Errorf("beside a client that hammers, %d calls are served with the queue and %d without", with, without)
	}
}

// TestPlacesApart: keys, limits and middlewares have queues of their own; routes share the
// queue of the limit that they share. A cost above the burst has none, nor has shadow mode.
func TestPlacesApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, five, ratelimit.Config{})
		h := routesOf(t, limiter, muxOf("GET /a", "GET /b"), middleware.Config{Key: byKey.Key},
			middleware.Route{Pattern: "GET /a", Cost: 1},
			middleware.Route{Pattern: "GET /b", Limits: []ratelimit.Limit{ratelimit.PerMinute(60).WithBurst(1)}})
		call{key: "k", target: "/a"}.drain(h)
		wantWaits(t, "a", []int{waitOf(t, h, call{key: "k", target: "/a"})}, []int{200})
		wantWaits(t, "a and b share the key's limit", []int{waitOf(t, h, call{key: "k", target: "/b"})}, []int{400})
		wantWaits(t, "no route", []int{waitOf(t, h, call{key: "k", target: "/c"})}, []int{600})
		call{key: "other", target: "/a"}.drain(h)
		wantWaits(t, "another key", []int{waitOf(t, h, call{key: "other", target: "/a"})}, []int{200})
		wantStatus(t, h, call{key: "third", target: "/b"}, http.StatusOK)
		wantWaits(t, "b's own limit", []int{waitOf(t, h, call{key: "third", target: "/b"})}, []int{1000})

		costly := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Cost: func(*http.Request) int { return 6 }}))(hello)
		for range 3 {
			w := wantStatus(t, costly, call{}, http.StatusTooManyRequests)
			if _, ok := w.Header()[middleware.HeaderRetryAfter]; ok {
				t.Error("a cost above the burst has a Retry-After")
			}
		}
		shadow := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{Shadow: true}), middleware.Config{}))(hello)
		for range 20 {
			wantNoHeaders(t, wantStatus(t, shadow, call{}, http.StatusOK).Header())
		}
	})
}

// TestPlacesResult: the queue is not in the Result, and Jitter is added to it.
func TestPlacesResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var result ratelimit.Result
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{
			Key: byKey.Key, Jitter: 50 * time.Millisecond,
			Denied: func(_ http.ResponseWriter, _ *http.Request, r ratelimit.Result) { result = r },
			Logger: quiet(middleware.Config{}).Logger,
		}))(hello)
		call{key: "k"}.drain(h)
		for i, ms := range (call{key: "k"}).waits(t, h, 6) {
			if least := 200 * (i + 1); ms < least || ms > least+50 {
				t.Errorf("client %d waits %d ms, want %d and at most 50 more", i, ms, least)
			}
			if result.RetryAfter() != 200*time.Millisecond {
				t.Errorf("the Result says %v, want 200ms", result.RetryAfter())
			}
		}
	})
}

// TestPlacesBounded: the queues of very many keys take bounded memory, and the oldest go.
func TestPlacesBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), byKey))(hello)
		deny := func(key string) int {
			call{key: key}.to(h)
			return waitOf(t, h, call{key: key})
		}
		deny("first")
		if ms := waitOf(t, h, call{key: "first"}.over(2)); ms != 7_200_000 {
			t.Fatalf("the second client waits %d ms, want 7200000", ms)
		}
		for i := range 10_000 {
			deny(strconv.Itoa(i))
		}
		if ms := waitOf(t, h, call{key: "first"}.over(3)); ms != 3_600_000 {
			t.Errorf("after 10,000 other keys it waits %d ms, want 3600000: its queue is still there", ms)
		}
		if ms := waitOf(t, h, call{key: "9999"}.over(3)); ms != 7_200_000 {
			t.Errorf("a young queue is gone: a wait of %d ms", ms)
		}
	})
}

// TestPlacesConcurrent: callers of many keys at once, for the race detector.
func TestPlacesConcurrent(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), byKey))(hello)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 200 {
				w := call{key: strconv.Itoa(n % 10)}.over(i).to(h)
				if ms := w.Header().Get(middleware.HeaderRetryAfterMs); w.Code == http.StatusTooManyRequests && len(ms) != 7 {
					t.Errorf("a wait of %q ms, want one to two hours", ms)
				}
			}
		})
	}
	wg.Wait()
}
