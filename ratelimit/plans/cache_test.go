package plans_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// database is where limits are looked up: slow, and now and then down.
type database struct {
	takes  time.Duration
	asked  atomic.Int64
	policy atomic.Pointer[ratelimit.Policy]
	down   atomic.Bool
	panics atomic.Bool
}

func (d *database) PolicyFor(ctx context.Context, _ string) (*ratelimit.Policy, error) {
	d.asked.Add(1)
	select {
	case <-time.After(d.takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	switch {
	case d.panics.Load():
		panic("a bug")
	case d.down.Load():
		return nil, errDown
	}
	return d.policy.Load(), nil
}

func cached(t *testing.T, limits ratelimit.Limits, c plans.CacheConfig) *plans.Cache {
	t.Helper()
	cache, err := plans.NewCache(limits, c)
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// TestCached: one caller at a time asks, the others have the old answer, or wait for the
// first one.
func TestCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := policyOf(t, ratelimit.PerDay(1)), policyOf(t, ratelimit.PerDay(2))
		db := &database{takes: 10 * time.Millisecond}
		db.policy.Store(first)
		cache := cached(t, db, plans.CacheConfig{TTL: time.Minute})
		crowd := func(want *ratelimit.Policy, asked int64, slow int) {
			t.Helper()
			before := db.asked.Load()
			var waited atomic.Int64
			var wg sync.WaitGroup
			for range 20 {
				wg.Go(func() {
					start := time.Now()
					p, err := cache.PolicyFor(t.Context(), "key")
					if err != nil || p != want && p != first {
						t.Errorf("%v, %v; want %v", p, err, want.Limits())
					}
					if time.Since(start) > 0 {
						waited.Add(1)
					}
				})
			}
			wg.Wait()
			if n := db.asked.Load() - before; n != asked || int(waited.Load()) != slow {
				t.Errorf("looked up %d times, and %d callers waited; want %d and %d", n, waited.Load(), asked, slow)
			}
		}
		crowd(first, 1, 20) // nothing is known yet
		crowd(first, 0, 0)
		db.policy.Store(second)
		time.Sleep(time.Minute)
		crowd(second, 1, 1) // the others have the old answer
		crowd(second, 0, 0)
		if p, _ := cache.PolicyFor(t.Context(), "key"); p != second {
			t.Error("the new answer is not in use")
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = cache.PolicyFor(t.Context(), "key") }); n != 0 {
			t.Errorf("a look-up makes %v allocations", n)
		}
	})
}

// TestCachedWhileTheLookUpFails: the old answer for MaxStale, then the fallback or the
// error; and the database is not asked by every caller.
func TestCachedWhileTheLookUpFails(t *testing.T) {
	for _, fails := range []func(*database){
		func(db *database) { db.down.Store(true) },
		func(db *database) { db.policy.Store(nil) },
		func(db *database) { db.panics.Store(true) },
	} {
		for _, fallback := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				p, other := policyOf(t, ratelimit.PerDay(1)), policyOf(t, ratelimit.PerDay(2))
				db := new(database)
				db.policy.Store(p)
				c := plans.CacheConfig{TTL: time.Minute, MaxStale: time.Hour}
				if fallback {
					c.Fallback = other
				}
				limiter := newLimiter(t, cached(t, db, c), ratelimit.Config{})
				ask := func(key string) *ratelimit.Policy {
					r, err := limiter.Peek(t.Context(), key)
					if (err != nil) != (r.Policy() == nil) {
						t.Errorf("%v, %v", r.Policy(), err)
					}
					return r.Policy()
				}
				ask("key")
				fails(db)
				before := db.asked.Load()
				for range 59 * 60 {
					if ask("key") != p {
						t.Fatal("the old answer is not in use")
					}
					time.Sleep(time.Second)
				}
				if n := db.asked.Load() - before; n < 3000 || n > 3600 {
					t.Errorf("looked up %d times in an hour; want once a second, from when the answer was too old", n)
				}
				time.Sleep(2 * time.Minute)
				var want *ratelimit.Policy
				if fallback {
					want = other
				}
				ask("key")
				for _, key := range []string{"key", "another"} {
					ask(key)
					before = db.asked.Load()
					for range 100 {
						if got := ask(key); got != want {
							t.Fatalf("%s: %v; want %v", key, got, want)
						}
					}
					if n := db.asked.Load() - before; n > 1 {
						t.Errorf("%s: looked up %d times", key, n)
					}
				}
			})
		}
	}
}

// TestCachedCallerGivesUp: who leads may give up, and the next one leads.
func TestCachedCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, ratelimit.PerDay(1))
		db := &database{takes: 30 * time.Millisecond}
		db.policy.Store(p)
		cache := cached(t, db, plans.CacheConfig{})
		hasty, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := cache.PolicyFor(hasty, "key"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the hasty one has %v", err)
			}
		})
		synctest.Wait()
		for range 3 {
			wg.Go(func() {
				if got, err := cache.PolicyFor(t.Context(), "key"); got != p || err != nil {
					t.Errorf("%v, %v", got, err)
				}
			})
		}
		wg.Go(func() {
			if _, err := cache.PolicyFor(hasty, "key"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("who waits with little time has %v", err)
			}
		})
		wg.Wait()
		if n := db.asked.Load(); n != 2 {
			t.Errorf("looked up %d times; want 2", n)
		}
	})
}

// TestCachedIsBounded, and goes on answering.
func TestCachedIsBounded(t *testing.T) {
	p := policyOf(t, ratelimit.PerDay(1))
	var asked atomic.Int64
	cache := cached(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
		asked.Add(1)
		return p, nil
	}), plans.CacheConfig{MaxKeys: 1000})
	for range 3 {
		for i := range 10_000 {
			if got, err := cache.PolicyFor(t.Context(), strconv.Itoa(i)); got != p || err != nil {
				t.Fatal(got, err)
			}
		}
	}
	if n := asked.Load(); n < 20_000 {
		t.Errorf("30,000 look-ups of 10,000 keys asked %d times: more than 1000 are kept", n)
	}
	if text := fmt.Sprintf("%v %+v %#v", cache, cache, cache); text != "*plans.Cache *plans.Cache *plans.Cache" {
		t.Errorf("it prints %s", text)
	}
}

// TestCachedRejects reports all faults at once.
func TestCachedRejects(t *testing.T) {
	_, err := plans.NewCache(nil, plans.CacheConfig{TTL: -1, MaxStale: -1, RetryAfter: -1, MaxKeys: -1, Fallback: &ratelimit.Policy{}})
	if got := fields(err); len(got) == 0 {
		t.Errorf("%v", err)
	}
	for _, field := range []string{"limits", "CacheConfig.TTL", "CacheConfig.MaxStale", "CacheConfig.RetryAfter", "CacheConfig.MaxKeys", "CacheConfig.Fallback"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named: %v", field, err)
		}
	}
}
