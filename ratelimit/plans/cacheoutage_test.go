package plans_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// TestCachedKeepsAnswersInAnOutage: a look-up that is down while made-up keys call, many
// more than the cache has room for. Each customer still has the limit that is known.
func TestCachedKeepsAnswersInAnOutage(t *testing.T) {
	const customers = 1000
	two, fallback := policyOf(t, ratelimit.PerHour(2)), policyOf(t, ratelimit.PerSecond(20))
	for _, c := range []struct {
		name      string
		config    plans.CacheConfig
		strangers int
		fails     func() error
	}{
		{"the defaults", plans.CacheConfig{}, 1_000_000, func() error { return errDown }},
		{"as many answers as there is room for", plans.CacheConfig{MaxKeys: customers}, 10_000, func() error { return errDown }},
		{"with a fallback", plans.CacheConfig{MaxKeys: customers, Fallback: fallback, RetryAfter: time.Hour}, 10_000, func() error { return errDown }},
		{"a nil policy", plans.CacheConfig{MaxKeys: 2 * customers}, 10_000, func() error { return nil }},
		{"panics", plans.CacheConfig{MaxKeys: customers}, 3000, func() error { panic("down") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.strangers > 100_000 {
				testkit.Long(t, "takes seconds of CPU")
			}
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				cache := cached(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
					if down.Load() {
						return nil, c.fails()
					}
					return two, nil
				}), c.config)
				each := func(when string) {
					for i := range customers {
						if p, err := cache.PolicyFor(t.Context(), "customer "+strconv.Itoa(i)); p != two || err != nil {
							t.Fatalf("%s, customer %d is under %v, %v", when, i, p, err)
						}
					}
				}
				each("before the outage")
				down.Store(true)
				time.Sleep(2 * time.Minute) // so that all answers are due
				for i := range c.strangers {
					if p, err := cache.PolicyFor(t.Context(), "made up "+strconv.Itoa(i)); p != c.config.Fallback || (err == nil) != (p != nil) {
						t.Fatalf("a stranger is under %v, %v", p, err)
					}
				}
				each("after the flood")
			})
		})
	}
}

// TestCachedRemembersFailures: the first caller gets the error of a look-up, later ones within
// RetryAfter its text and class, without the key.
func TestCachedRemembersFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked int
		cache := cached(t, ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
			asked++
			if strings.HasPrefix(key, "shown") {
				return nil, fmt.Errorf("GET /limits?key=%s: %w", key, errDown)
			}
			return nil, errDown
		}), plans.CacheConfig{RetryAfter: time.Minute})
		for _, key := range []string{"key", strings.Repeat("k", 300), "shown-0123456789"} {
			asked = 0
			_, first := cache.PolicyFor(t.Context(), key)
			_, again := cache.PolicyFor(t.Context(), key)
			if !errors.Is(first, errDown) || again == nil || asked != 1 || store.ErrorClass(again) != store.ErrorClass(first) {
				t.Errorf("%v, then %v, after %d look-ups", first, again, asked)
			} else if shown := strings.HasPrefix(key, "shown"); strings.Contains(again.Error(), key) && shown || !shown && again.Error() != errDown.Error() {
				t.Errorf("%v, then %v", first, again)
			}
			time.Sleep(time.Minute)
			if _, _ = cache.PolicyFor(t.Context(), key); asked != 2 {
				t.Errorf("looked up %d times; want again after RetryAfter", asked)
			}
		}
	})
}

// TestCachedReportsFailures that an old answer or the fallback hides, once for each look-up.
func TestCachedReportsFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		var reported []error
		var cache *plans.Cache
		cache = cached(t, ratelimit.LimitsFunc(func(ctx context.Context, key string) (*ratelimit.Policy, error) {
			if down.Load() {
				return nil, fmt.Errorf("GET /limits?key=%s: %w", key, errDown)
			}
			return policyOf(t, ratelimit.PerDay(1)), ctx.Err()
		}), plans.CacheConfig{Fallback: policyOf(t, ratelimit.PerSecond(1)), OnError: func(err error) {
			reported = append(reported, err)
			_, _ = cache.PolicyFor(t.Context(), "canary-known") // no lock is held
			panic("ignored")
		}})
		ask := func(ctx context.Context, key string, want int) {
			t.Helper()
			for range 3 {
				if p, err := cache.PolicyFor(ctx, key); p == nil || err != nil {
					t.Errorf("%s: %v, %v", key, p, err)
				}
			}
			if len(reported) != want {
				t.Errorf("%s: %d failures reported, want %d: %v", key, len(reported), want, reported)
			}
		}
		ask(t.Context(), "canary-known", 0)
		canceled, cancel := context.WithCancel(t.Context())
		cancel()
		ask(canceled, "canary-other", 0)
		down.Store(true)
		time.Sleep(2 * time.Minute)
		ask(t.Context(), "canary-known", 1)
		ask(t.Context(), "canary-unknown", 2)
		time.Sleep(time.Second)
		ask(t.Context(), "canary-known", 3)
		for _, err := range reported {
			if strings.Contains(fmt.Sprintf("%v %+v", err, err), "canary") {
				t.Errorf("the key is shown: %v", err)
			}
		}
	})
}

// TestCachedUsesAnAnswerForMaxStale, exactly: for TTL, where that is longer, and no longer
// for a RetryAfter that is.
func TestCachedUsesAnAnswerForMaxStale(t *testing.T) {
	for _, c := range []struct {
		config plans.CacheConfig
		used   time.Duration
	}{
		{plans.CacheConfig{}, time.Hour},
		{plans.CacheConfig{TTL: time.Hour, MaxStale: time.Minute}, time.Hour},
		{plans.CacheConfig{TTL: 2 * time.Hour}, 2 * time.Hour},
		{plans.CacheConfig{TTL: time.Minute, MaxStale: 10 * time.Minute}, 10 * time.Minute},
		{plans.CacheConfig{TTL: time.Minute, MaxStale: 10 * time.Minute, RetryAfter: time.Hour}, 10 * time.Minute},
		{plans.CacheConfig{TTL: 1<<63 - 1}, 100 * 365 * 24 * time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			p := policyOf(t, ratelimit.PerDay(1))
			var down bool
			cache := cached(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
				if down {
					return nil, errDown
				}
				return p, nil
			}), c.config)
			ask := func() *ratelimit.Policy {
				p, _ := cache.PolicyFor(t.Context(), "key")
				return p
			}
			ask()
			down = true
			time.Sleep(c.used / 2)
			ask() // which may fail, and sets when it is tried again
			time.Sleep(c.used/2 - time.Second)
			if ask() != p {
				t.Errorf("%+v: the answer is not used for %v", c.config, c.used)
			}
			time.Sleep(2 * time.Second)
			if got := ask(); c.config.TTL < 1<<62 && got != nil {
				t.Errorf("%+v: the answer is used for longer than %v", c.config, c.used)
			}
		})
	}
}

// TestCachedPinsNoRequest: a small key that is cut out of a long text, and a long key,
// leave nothing of it in a cache, also if the error of a look-up holds the key.
func TestCachedPinsNoRequest(t *testing.T) {
	const long, calls = 90_000, 300
	p := policyOf(t, ratelimit.PerDay(1))
	for name, key := range map[string]func(text string) string{
		"cut out": func(text string) string { return text[len(text)-8:] },
		"whole":   func(text string) string { return text },
	} {
		for outcome, answer := range map[string]func(key string) (*ratelimit.Policy, error){
			"answered": func(string) (*ratelimit.Policy, error) { return p, nil },
			"failed":   func(key string) (*ratelimit.Policy, error) { return nil, keyError{key} },
			"panicked": func(key string) (*ratelimit.Policy, error) { panic(keyError{key}) },
			"wrapped": func(key string) (*ratelimit.Policy, error) {
				return nil, fmt.Errorf("GET /limits?key=%s: %w", key, errDown)
			},
		} {
			t.Run(name+"/"+outcome, func(t *testing.T) {
				cache := cached(t, ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) { return answer(key) }), plans.CacheConfig{})
				before := heap()
				for i := range calls {
					text := strings.Repeat(" ", long) + fmt.Sprintf("%08d", i)
					_, _ = cache.PolicyFor(t.Context(), key(text))
				}
				if grown := heap() - before; grown > 5<<20 {
					t.Errorf("%d MB more on the heap", grown>>20)
				}
				runtime.KeepAlive(cache)
			})
		}
	}
}

// heap returns how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestClassOfALookUpIsNotTheKey: neither is that of an error which the look-up itself has made.
func TestClassOfALookUpIsNotTheKey(t *testing.T) {
	const key = "deadbeef0123456789abcdef"
	seen := ""
	c, err := plans.NewCache(ratelimit.LimitsFunc(func(_ context.Context, k string) (*ratelimit.Policy, error) {
		return nil, &store.Error{Class: k}
	}), plans.CacheConfig{OnError: func(err error) { seen += fmt.Sprintf("%v %#v %s;", err, err, store.ErrorClass(err)) }})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.PolicyFor(t.Context(), key); err == nil || seen == "" || strings.Contains(seen, key) {
		t.Errorf("%v, reported as %s", err, seen)
	}
}
