package plans_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// TestSlowLookUpNamesTheTimeout: the error of a look-up that takes longer than a decision names
// the option for it. With more time or a fallback, the key is limited.
func TestSlowLookUpNamesTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db := &database{takes: 300 * time.Millisecond}
		db.policy.Store(policyOf(t, ratelimit.PerDay(1)))
		_, err := newLimiter(t, cached(t, db, plans.CacheConfig{}), ratelimit.Config{}).Allow(t.Context(), "key")
		if err == nil || !strings.Contains(err.Error(), "PolicyFor must return a policy within Config.Timeout, here 50ms") || store.ErrorClass(err) != store.ClassLimits {
			t.Errorf("the error is %v", err)
		}
		for name, limiter := range map[string]*ratelimit.Limiter{
			"more time":  newLimiter(t, cached(t, db, plans.CacheConfig{}), ratelimit.Config{Timeout: time.Second}),
			"a fallback": newLimiter(t, cached(t, db, plans.CacheConfig{Fallback: policyOf(t, ratelimit.PerDay(1))}), ratelimit.Config{}),
		} {
			for i := range 2 {
				if r, err := limiter.Allow(t.Context(), name); err != nil || r.Allowed != (i == 0) {
					t.Errorf("%s: call %d: %v, %v", name, i, r.Allowed, err)
				}
			}
		}
	})
}

// TestHungLookUpIsNotTriedByEachCall: while a database hangs, one caller in RetryAfter
// waits for it, and the others have the old answer.
func TestHungLookUpIsNotTriedByEachCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := policyOf(t, ratelimit.PerDay(1))
		db := new(database)
		db.policy.Store(p)
		limiter := newLimiter(t, cached(t, db, plans.CacheConfig{}), ratelimit.Config{})
		if _, err := limiter.Peek(t.Context(), "key"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		db.takes = time.Hour
		before, waited := db.asked.Load(), 0
		for range 100 {
			start := time.Now()
			if r, err := limiter.Peek(t.Context(), "key"); err == nil && r.Policy() != p {
				t.Errorf("%v, %v; want the old answer", r.Policy(), err)
			}
			if time.Since(start) > 0 {
				waited++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := db.asked.Load() - before; n < 9 || n > 11 || waited > 11 {
			t.Errorf("looked up %d times in ten seconds, and %d calls waited; want once a second", n, waited)
		}
	})
}
