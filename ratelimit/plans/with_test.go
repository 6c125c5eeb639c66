package plans_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestWatchedTableReplacedWhileInUse: a policy that is watched, enforced from a date, or
// taken back, all while callers are decided, is decided as one of them each time.
func TestWatchedTableReplacedWhileInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(time.Second)
		base := ratelimit.PerDay(1_000_000)
		policies := []*ratelimit.Policy{
			policyOf(t, base, ratelimit.PerDay(1).Named("strict").Shadowed()),
			policyOf(t, base, ratelimit.PerDay(1_000_000).Named("new").EnforcedFrom(date)),
			policyOf(t, base.Shadowed()),
			policyOf(t, base),
		}
		table, err := plans.NewTable(plans.TableConfig{Default: policies[0]})
		if err != nil {
			t.Fatal(err)
		}
		l := newLimiter(t, table, ratelimit.Config{})
		part, err := l.With(ratelimit.PerDay(900_000).Named("part").EnforcedFrom(date))
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			limiter, further := l, 0
			if i%2 == 1 {
				limiter, further = part, 1
			}
			wg.Go(func() {
				for range 400 {
					before := time.Now().Before(date)
					r, err := limiter.Allow(t.Context(), "k")
					limits := r.Len() + shadowLen(&r)
					if err != nil || !r.Allowed || limits < 1+further || limits > 2+further || r.Shadow() != (r.Policy() != nil && r.Policy().Limits()[0].Shadow) {
						t.Errorf("%+v, %v", r, err)
						return
					}
					if !before && further == 1 && (r.Shadow() || r.State(r.Len()-1).Limit.Shadow) {
						t.Errorf("from the date on the part's limit is in force: %+v", r)
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			})
		}
		for i := range 400 {
			if err := table.Replace(plans.TableConfig{Default: policies[i%len(policies)]}); err != nil {
				t.Error(err)
			}
			time.Sleep(5 * time.Millisecond)
		}
		wg.Wait()
	})
}

// TestWithPoliciesMadeAnew: limits that make a policy for each call cost memory up to a
// bound, and are decided right, also by limiters made of limiters.
func TestWithPoliciesMadeAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		date := time.Now().Add(time.Minute)
		l := newLimiter(t, ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) {
			return ratelimit.NewPolicy(ratelimit.PerDay(100_000), ratelimit.PerDay(5).Named("new").EnforcedFrom(date))
		}), ratelimit.Config{})
		part, err := l.With(ratelimit.PerDay(4000).Named("part"))
		if err != nil {
			t.Fatal(err)
		}
		inner, err := part.With(ratelimit.PerDay(3000).Named("inner").Shadowed())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var would atomic.Int64
		for range 4 {
			wg.Go(func() {
				for range 875 {
					r, err := inner.Allow(t.Context(), "k")
					if err != nil || !r.Allowed || r.Len() != 2 || shadowLen(&r) != 2 {
						t.Errorf("%+v, %v", r, err)
						return
					}
					if s, _ := r.ShadowState(1); s.Undecided || s.Limit.Name != "inner" {
						t.Errorf("%+v", s)
					} else if s.Violated {
						would.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if n := would.Load(); n != 500 {
			t.Errorf("%d of 3500 calls would have been denied by the innermost limit, want 500", n)
		}
		time.Sleep(time.Minute)
		if r := allow(t, inner, "k", 1); r.Allowed || r.Limit().Name != "new" || r.Len() != 3 {
			t.Errorf("from the date on: %+v", r)
		}
	})
}

// shadowLen returns the number of shadow limits beside those that were enforced.
func shadowLen(r *ratelimit.Result) (n int) {
	for ; ; n++ {
		if _, ok := r.ShadowState(n); !ok {
			return n
		}
	}
}
