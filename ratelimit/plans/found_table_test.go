package plans_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestTableConfigRoundTrip: a table made of what Config returns decides the same, and says
// the same of itself; a hash comes back in lower case, and nothing else changes.
func TestTableConfigRoundTrip(t *testing.T) {
	p := []*ratelimit.Policy{policyOf(t, ratelimit.PerDay(1)), policyOf(t, ratelimit.PerDay(2).Shadowed()), ratelimit.Unlimited}
	hash := ratelimit.HashKey("upper")
	upper := "sha256:" + strings.ToUpper(strings.TrimPrefix(hash, "sha256:"))
	c := plans.TableConfig{
		Default: p[0],
		Plans:   map[string]*ratelimit.Policy{"": p[1], "unused": p[2], "gold": p[2]},
		Members: map[string]string{"": "", upper: "gold", "SHA256:plain": "gold", "both": "", "\x00\xff": "gold"},
		Keys:    map[string]*ratelimit.Policy{ratelimit.HashKey("both"): p[2], "own": p[1]},
	}
	rng := rand.New(rand.NewPCG(1, 28))
	for i := range 500 {
		key := fmt.Sprint("key ", i)
		if rng.IntN(2) == 0 {
			key = ratelimit.HashKey(key)
		}
		if rng.IntN(2) == 0 {
			c.Members[key] = "gold"
		} else {
			c.Keys[key] = p[rng.IntN(3)]
		}
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	delete(c.Members, upper)
	c.Members[hash] = "gold"
	got := table.Config()
	if !reflect.DeepEqual(got, c) {
		t.Fatalf("%+v, want %+v", got, c)
	}
	again, err := plans.NewTable(got)
	if err != nil || !reflect.DeepEqual(again.Config(), c) {
		t.Fatalf("%v", err)
	}
	clear(got.Plans) // a copy: the table has its own
	clear(got.Members)
	clear(got.Keys)
	if !reflect.DeepEqual(table.Config(), c) {
		t.Error("whoever writes into what Config returned, writes into the table")
	}
	for key, want := range map[string]struct {
		plan string
		ok   bool
	}{"": {"", true}, "both": {"", true}, "upper": {"gold", true}, "own": {"", false}, "nobody": {"", false}, "plain": {"", false}} {
		if plan, ok := again.PlanOf(key); plan != want.plan || ok != want.ok {
			t.Errorf("%q: plan %q, %v", key, plan, ok)
		}
	}
	bare, err := plans.NewTable(plans.TableConfig{Default: p[0]})
	if err != nil || !reflect.DeepEqual(bare.Config(), plans.TableConfig{Default: p[0]}) || !reflect.DeepEqual(new(plans.Table).Config(), plans.TableConfig{}) {
		t.Errorf("%+v, %v", bare.Config(), err)
	}
}

// TestTableConfigWhileReplaced: what Config returns is one table's content, the old one's or
// the new one's.
func TestTableConfigWhileReplaced(t *testing.T) {
	configs := make([]plans.TableConfig, 2)
	for i := range configs {
		p := policyOf(t, ratelimit.PerDay(1+i).Shadowed())
		configs[i] = plans.TableConfig{Default: p, Plans: map[string]*ratelimit.Policy{"plan": p}, Members: map[string]string{}, Keys: map[string]*ratelimit.Policy{"own": p}}
		for k := range 100 {
			configs[i].Members[ratelimit.HashKey(fmt.Sprint(i, k))] = "plan"
		}
	}
	table, err := plans.NewTable(configs[0])
	if err != nil {
		t.Fatal(err)
	}
	var done atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; !done.Load(); i++ {
			if err := table.Replace(configs[i%2]); err != nil {
				t.Error(err)
				return
			}
		}
	})
	for range 300 {
		if c := table.Config(); !reflect.DeepEqual(c, configs[0]) && !reflect.DeepEqual(c, configs[1]) {
			t.Error("a mixture")
			break
		}
	}
	done.Store(true)
	wg.Wait()
}

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
