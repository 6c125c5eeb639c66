package middleware_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// answerTo is all that a caller sees of an answer.
func answerTo(c call, h http.Handler) string {
	w := c.to(h)
	var b strings.Builder
	fmt.Fprintln(&b, w.Code)
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		fmt.Fprintln(&b, name, w.Header()[name])
	}
	return b.String() + w.Body.String()
}

// TestCallersSeeNothingOfShadowLimits: whatever the middleware is set to, and however
// middlewares are nested, callers have the answers that they would have without the limits
// that are watched; and if all of them are, those of the handler itself.
func TestCallersSeeNothingOfShadowLimits(t *testing.T) {
	minute, hour := ratelimit.PerMinute(3), ratelimit.PerHour(8).Named("hourly")
	watched := []ratelimit.Limit{ratelimit.PerDay(2).Named("w1").Shadowed(), ratelimit.PerSecond(1).Named("w2").EnforcedFrom(time.Unix(253_402_300_799, 0))}
	for name, c := range map[string]middleware.Config{
		"default": {},
		"all set": {
			ResetHeader: middleware.ResetAsDelta, LimitHeader: middleware.LimitAsPeriod, FailClosed: true, ResultInContext: true,
			Cost: func(r *http.Request) int { return len(r.URL.Query()["n"]) },
			Denied: func(w http.ResponseWriter, _ *http.Request, r ratelimit.Result) {
				w.WriteHeader(http.StatusTeapot)
				_, _ = fmt.Fprint(w, r.Limit(), r.Remaining(), r.RetryAfter(), r.ResetAfter(), r.Len(), r.WouldDeny(), r.Shadow(), r.Policy())
			},
		},
		"a hook that says nothing": {Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := quiet(c)
				behind := func(next http.Handler, limits ...ratelimit.Limit) http.Handler {
					return middleware.Must(middleware.RateLimit(newLimiter(t, policy(t, limits...), ratelimit.Config{}), c))(next)
				}
				outer := ratelimit.PerMinute(2).Named("outer")
				for pair, h := range map[string][2]http.Handler{
					"beside":         {behind(hello, minute, watched[0], hour, watched[1]), behind(hello, minute, hour)},
					"all":            {behind(hello, watched...), hello},
					"inner all":      {behind(behind(hello, watched...), outer), behind(hello, outer)},
					"outer all":      {behind(behind(hello, outer), watched...), behind(hello, outer)},
					"both beside":    {behind(behind(hello, minute, watched[1]), outer, watched[0]), behind(behind(hello, minute), outer)},
					"dates all over": {behind(hello, minute.EnforcedFrom(time.Unix(1, 0)), hour.EnforcedFrom(time.Now()), watched[0]), behind(hello, minute, hour)},
				} {
					seen := map[string]bool{}
					for i := range 60 {
						time.Sleep(time.Duration(i%7) * 3 * time.Second)
						to := call{target: "/?" + strings.Repeat("n=1&", 1+i%3), peer: fmt.Sprintf("192.0.2.%d:1", i%2)}
						if i%20 == 19 {
							to.method = http.MethodHead
						}
						got, want := answerTo(to, h[0]), answerTo(to, h[1])
						if got != want {
							t.Fatalf("%s, request %d:\n%s\nwithout the shadow limits:\n%s", pair, i, got, want)
						}
						seen[got] = true
					}
					if len(seen) < 4 && pair != "all" {
						t.Errorf("%s: %d answers: this proves nothing", pair, len(seen))
					}
				}
			})
		})
	}
}

// TestCallersSeeTheDate: from its date on, a limit is in the headers and denies, with a
// policy that lasts as with policies made anew for each call, more of them than
// wordings that are kept.
func TestCallersSeeTheDate(t *testing.T) {
	for _, anew := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			limits := []ratelimit.Limit{ratelimit.PerDay(5000), ratelimit.PerDay(3000).Named("new").EnforcedFrom(time.Now().Add(time.Hour))}
			once := policy(t, limits...)
			of := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
				if anew {
					return ratelimit.NewPolicy(limits...)
				}
				return once, nil
			})
			h := middleware.Must(middleware.RateLimit(newLimiter(t, of, ratelimit.Config{}), quiet(middleware.Config{})))(hello)
			for range 1500 {
				w := wantStatus(t, h, call{}, http.StatusOK)
				if got := w.Header().Get(middleware.HeaderPolicy); strings.Contains(got, "new") || got == "" {
					t.Fatalf("made anew %v, before the date: %q", anew, got)
				}
			}
			time.Sleep(time.Hour) // 125 of the 1500 come back
			w := wantStatus(t, h, call{}, http.StatusOK)
			if got := w.Header().Get(middleware.HeaderPolicy); !strings.HasPrefix(got, `"new"`) || !strings.Contains(got, `"default"`) || w.Header().Get(middleware.HeaderRemaining) != "1624" {
				t.Errorf("made anew %v, from the date on: %v", anew, w.Header())
			}
			if n := (call{}).exhaustMany(h, 5000); n != 1624 {
				t.Errorf("made anew %v: %d more requests were served after the date", anew, n)
			}
		})
	}
}

// exhaustMany is exhaust for limits of more calls.
func (c call) exhaustMany(h http.Handler, most int) int {
	for n := range most {
		if c.to(h).Code != http.StatusOK {
			return n
		}
	}
	return most
}

// TestShadow: whatever happens in shadow mode, the caller sees what it would see
// without the middleware, and the observer what enforcement would do.
func TestShadow(t *testing.T) {
	config := middleware.Config{
		Key: middleware.Header("X-API-Key"), RequireKey: true, FailClosed: true, ResetHeader: middleware.ResetAsDelta,
		Denied: func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) { w.WriteHeader(http.StatusTeapot) },
	}
	for _, c := range []struct {
		name  string
		store store.Store
		call  call
	}{
		{"denied", nil, call{key: "k"}},
		{"no key", nil, call{}},
		{"two keys", nil, call{header: http.Header{"X-API-Key": {"a", "b"}}}},
		{"store failed", brokenStore{err: errDown}, call{key: "k"}},
		{"store panicked", brokenSelfTimed{brokenStore{panic: "no"}}, call{key: "k"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limiter := newLimiter(t, five, ratelimit.Config{Shadow: true})
			if c.store != nil {
				limiter = limiterOn(t, c.store, five, ratelimit.Config{Shadow: true})
			}
			h := middleware.Must(middleware.RateLimit(limiter, quiet(config)))(hello)
			want := dump(c.call.to(hello))
			for range 10 {
				if got := dump(c.call.to(h)); got != want {
					t.Fatalf("response:\n%s\nwant, as without the middleware:\n%s", got, want)
				}
			}
		})
	}

	t.Run("a limit that is shadow, and the store failed", func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five.Shadowed(), ratelimit.Config{}), quiet(config)))(hello)
		if got, want := dump(call{key: "k"}.to(h)), dump(call{key: "k"}.to(hello)); got != want {
			t.Errorf("response:\n%s\nwant, as without the middleware:\n%s", got, want)
		}
	})

	t.Run("would deny what enforcement denies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var would []bool
			shadow := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{Shadow: true, Observe: func(_ context.Context, e ratelimit.Event) {
				would = append(would, e.Result.WouldDeny())
			}}), byKey))(hello)
			enforced := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
			for i := range 40 {
				c := call{key: strconv.Itoa(i % 3)}
				wantStatus(t, shadow, c, http.StatusOK)
				if denied := c.to(enforced).Code == http.StatusTooManyRequests; denied != would[i] {
					t.Errorf("call %d: denied %v, would deny %v", i, denied, would[i])
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	})
}
