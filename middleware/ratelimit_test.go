package middleware_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestNilHandler serves what http.Server would.
func TestNilHandler(t *testing.T) {
	wantStatus(t, middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(nil), call{target: "/no/such"}, http.StatusNotFound)
}

// TestTwoKeys: two keys do not disturb each other, nor the bucket of the address.
func TestTwoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		for _, c := range []call{{key: "a"}, {key: "b"}, {}} {
			if n := c.exhaust(t, h); n != 5 {
				t.Errorf("key %q: %d calls admitted, want 5", c.key, n)
			}
		}
	})
}

// TestWaitIsEnough: a client that waits as long as the response says is admitted next, and
// one that waits a millisecond less is not.
func TestWaitIsEnough(t *testing.T) {
	limits := []ratelimit.Limit{
		five,
		ratelimit.PerSecond(3),
		{Rate: 7, Period: 1900 * time.Millisecond},
		{Rate: 1, Period: 10 * time.Second},
		ratelimit.PerMinute(100).WithBurst(3),
		{Rate: 700_001, Period: time.Second, Burst: 2},
	}
	for _, limit := range limits {
		for _, header := range []string{middleware.HeaderRetryAfter, middleware.HeaderRetryAfterMs} {
			t.Run(limit.String()+" "+header, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := middleware.Must(middleware.RateLimit(newLimiter(t, limit, ratelimit.Config{}), middleware.Config{}))(hello)
					unit := time.Millisecond
					if header == middleware.HeaderRetryAfter {
						unit = time.Second
					}
					for range 20 {
						w := call{}.to(h)
						for w.Code == http.StatusOK {
							w = call{}.to(h)
						}
						n, err := strconv.Atoi(w.Header().Get(header))
						if err != nil || n < 1 {
							t.Fatalf("%s: %q", header, w.Header().Get(header))
						}
						time.Sleep(time.Duration(n)*unit - unit)
						if n > 1 {
							wantStatus(t, h, call{}, http.StatusTooManyRequests)
						}
						time.Sleep(unit)
						wantStatus(t, h, call{}, http.StatusOK)
					}
				})
			})
		}
	}
}

func TestPreflight(t *testing.T) {
	origin := http.Header{"Origin": {"https://example.com"}}
	both := http.Header{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"GET"}}
	for _, c := range []struct {
		name string
		call call
		free bool
	}{
		{"preflight", call{method: "OPTIONS", header: both}, true},
		{"no origin", call{method: "OPTIONS", header: http.Header{"Access-Control-Request-Method": {"GET"}}}, false},
		{"no method asked for", call{method: "OPTIONS", header: origin}, false},
		{"plain OPTIONS", call{method: "OPTIONS"}, false},
		{"another method", call{method: "GET", header: both}, false},
		{"lower case", call{method: "options", header: both}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
			h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{RequireKey: true, Key: middleware.Header("X-API-Key")}))(hello)
			if !c.free {
				c.call.key = "k"
			}
			want := http.StatusOK
			for range 3 {
				w := wantStatus(t, h, c.call, want)
				if c.free {
					wantNoHeaders(t, w.Header())
				} else {
					want = http.StatusTooManyRequests
				}
			}
		})
	}
}

func wantNoHeaders(t *testing.T, h http.Header) {
	t.Helper()
	for _, name := range middleware.Headers() {
		if value, ok := h[name]; ok {
			t.Errorf("%s: %q, want no such header", name, value)
		}
	}
}

func TestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cost := 0
		limiter := newLimiter(t, five, ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Cost: func(*http.Request) int { return cost }}))(hello)
		for _, step := range []struct {
			cost, status int
			remaining    string
		}{
			{0, 200, "5"}, {2, 200, "3"}, {4, 429, "3"}, {3, 200, "0"}, {1, 429, "0"}, {0, 200, "0"}, {6, 429, "0"},
		} {
			cost = step.cost
			w := wantStatus(t, h, call{}, step.status)
			if got := w.Header().Get(middleware.HeaderRemaining); got != step.remaining {
				t.Errorf("cost %d: remaining %s, want %s", cost, got, step.remaining)
			}
		}
	})
}

func TestSkip(t *testing.T) {
	skip := func(r *http.Request) bool { return r.URL.Path == "/health" }
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{Skip: skip}))(hello)
	for range 3 {
		wantNoHeaders(t, wantStatus(t, h, call{target: "/health"}, http.StatusOK).Header())
	}
	wantStatus(t, h, call{}, http.StatusOK)
	wantStatus(t, h, call{}, http.StatusTooManyRequests)
}

func TestRequireKey(t *testing.T) {
	config := byKey
	config.RequireKey = true
	h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), config))(hello)
	wantStatus(t, h, call{key: "k"}, http.StatusOK)
	wantStatus(t, h, call{}, http.StatusUnauthorized)
	wantStatus(t, h, call{key: " \t"}, http.StatusUnauthorized)
}

// TestNotWrapped: the handler gets the ResponseWriter and the request as they came.
func TestNotWrapped(t *testing.T) {
	w, r := httptest.NewRecorder(), call{}.request()
	middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(
		http.HandlerFunc(func(gotW http.ResponseWriter, gotR *http.Request) {
			if gotW != http.ResponseWriter(w) || gotR != r {
				t.Error("the handler got something else than what came in")
			}
			if gotW.Header().Get(middleware.HeaderRemaining) != "4" {
				t.Error("the headers are not set when the handler runs")
			}
		})).ServeHTTP(w, r)
}

// TestPanicsPassThrough: a panic of the handler is none of ours.
func TestPanicsPassThrough(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))
	for _, value := range []any{http.ErrAbortHandler, errors.New("some error"), "text"} {
		func() {
			defer func() {
				if got := recover(); got != value {
					t.Errorf("recovered %v, want %v", got, value)
				}
			}()
			call{}.to(h(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) })))
		}()
	}
}

func TestSpellingsOfAPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		served := 0
		for i := range 20 {
			for _, target := range []string{"/x", "//x", "/%78", "/./x", "/x/", "/x?", "/X", fmt.Sprintf("/x?n=%d", i), fmt.Sprintf("/x/../%d", i), "http://other/x"} {
				if (call{key: "k", target: target}).to(h).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 5 {
			t.Errorf("%d of 200 spellings of the path served, want 5", served)
		}
	})
	t.Run("by pattern", func(t *testing.T) { // a limit of a route's own
		synctest.Test(t, func(t *testing.T) {
			limit := middleware.Must(middleware.RateLimit(newLimiter(t, five.Named("x"), ratelimit.Config{}), byKey))
			mux := http.NewServeMux()
			mux.Handle("GET /x", limit(hello))
			served := 0
			for range 20 {
				for _, target := range []string{"/x", "/%78", "/x?a", "/%78?b"} {
					if (call{key: "k", target: target}).to(mux).Code == http.StatusOK {
						served++
					}
				}
			}
			if served != 5 {
				t.Errorf("%d of 80 spellings of a route served, want 5", served)
			}
		})
	})
}

func TestEveryMethodCosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		served := 0
		for range 20 {
			for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get"} {
				if (call{key: "k", method: method}).to(h).Code == http.StatusOK {
					served++
				}
			}
		}
		if served != 5 {
			t.Errorf("%d of 200 calls served, want 5 in all", served)
		}
	})
}

// TestCostOfManyOperations: a call that holds many operations costs as many, one
// with more than the burst is always denied, and a handler can charge more when
// it knows more.
func TestCostOfManyOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limiter := newLimiter(t, five, ratelimit.Config{})
		config := byKey
		config.Cost = func(r *http.Request) int { return len(r.URL.Query()["op"]) }
		h := middleware.Must(middleware.RateLimit(limiter, config))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("more") {
				result, err := limiter.AllowN(r.Context(), middleware.BucketKey(r.Header.Get("X-API-Key")), 2)
				if err != nil || !result.Allowed {
					w.WriteHeader(http.StatusTooManyRequests)
				}
			}
		}))
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3&op=4&op=5&op=6"}, http.StatusTooManyRequests)
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3"}, http.StatusOK)
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3"}, http.StatusTooManyRequests)
		wantStatus(t, h, call{key: "k", target: "/?op=1&more"}, http.StatusTooManyRequests)
		time.Sleep(time.Second)
		wantStatus(t, h, call{key: "k", target: "/?op=1&op=2&op=3&more"}, http.StatusOK)
		wantStatus(t, h, call{key: "k", target: "/?op=1"}, http.StatusTooManyRequests)
	})
}

func TestStrangeCosts(t *testing.T) {
	const most = int(^uint(0) >> 1)
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		cost := 0
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), r.watch(middleware.Config{Cost: func(*http.Request) int { return cost }})))(hello)
		for i, step := range []struct {
			cost, status int
		}{{most, 429}, {6, 429}, {-1, 200}, {-most - 1, 200}, {3, 200}, {-5, 429}, {1, 429}, {most, 429}} {
			cost = step.cost
			if w := (call{}).to(h); w.Code != step.status {
				t.Errorf("step %d, cost %d: status %d, want %d", i, cost, w.Code, step.status)
			}
		}
		if want := slices.Repeat([]string{middleware.FaultNegativeCost}, 3); !slices.Equal(r.faults(), want) {
			t.Errorf("faults %q, want %q", r.faults(), want)
		}
	})
}

// TestConcurrent is for the race detector: all parts at once, from many goroutines.
func TestConcurrent(t *testing.T) {
	var r recorder
	limit := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(300), ratelimit.Config{}), r.watch(middleware.Config{
		Key: middleware.First(middleware.Header("X-API-Key"), middleware.ClientIP()), ResultInContext: true, ResetHeader: middleware.ResetAsTime,
		Cost:   func(r *http.Request) int { return len(r.URL.Path) - 2 },
		Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) { panic("denied") },
	})))
	h := limit(http.HandlerFunc(limit(hello).ServeHTTP))
	done := make(chan int)
	for i := range 8 {
		go func() {
			n := 0
			for j := range 300 {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, call{key: []string{"", "k"}[i%2], target: []string{"/", "/a", "/ab"}[j%3]}.request())
				if w.Code == http.StatusOK {
					n++
				}
			}
			done <- n
		}()
	}
	served := 0
	for range 8 {
		served += <-done
	}
	if served < 200 || served > 1200 {
		t.Errorf("%d served", served)
	}
}

// TestEmptyPreflight: headers that are there and say nothing make no preflight, or
// a handler that does not look at the method would run for free.
func TestEmptyPreflight(t *testing.T) {
	for _, header := range []http.Header{
		{"Origin": {""}, "Access-Control-Request-Method": {""}},
		{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {""}},
		{"Origin": {""}, "Access-Control-Request-Method": {"GET"}},
	} {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{}))(hello)
		if n := (call{method: http.MethodOptions, header: header}).exhaust(t, h); n != 1 {
			t.Errorf("%v: %d calls served, want 1", header, n)
		}
	}
}
