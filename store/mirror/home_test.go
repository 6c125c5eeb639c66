package mirror_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestHomes: what one key of a home has used, and settles later, counts for the others, by
// knowledge and while the shared store is down. The same key in another home has other buckets.
func TestHomes(t *testing.T) {
	for _, down := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			s := newMirror(t, shared, mirror.Config{})
			p := policy(t, ratelimit.PerDay(10), ratelimit.PerDay(15).Named("organisation"))
			p[1].Shared = true
			ask := func(home, key string, cost int) store.Decision {
				d, err := s.Take(t.Context(), store.Request{Home: home, Key: key, Limits: p, Cost: cost, Timeout: store.DefaultTimeout})
				if err != nil {
					t.Fatal(err)
				}
				return d
			}
			ask("home", "a", 8)
			hold := new(store.Hold)
			if d, err := s.Take(t.Context(), store.Request{Home: "home", Key: "b", Limits: p, Cost: 3, Hold: hold, Timeout: store.DefaultTimeout}); err != nil || !d.Allowed {
				t.Fatal(d, err)
			}
			ask("home", "b", 0)
			if down {
				shared.down()
			}
			settle(t, s, store.Settlement{Home: "home", Key: "b", Limits: p, Names: hold.Names, Held: 3, Actual: 5})
			for range 3 {
				if d := ask("home", "b", 3); d.Allowed || p[1].Remaining(d.Debts[1]) != 2 {
					t.Errorf("down %v: answered %+v; want a denial, since 2 are left of the home's", down, d)
				}
			}
			if down {
				shared.back()
			} else if d := ask("home", "a", 3); d.Allowed || d.Source != store.FromKnowledge {
				t.Errorf("answered %+v; want a denial by knowledge", d)
			}
			for _, c := range []struct {
				home, key string
				own, all  int
			}{{"home", "c", 10, 2}, {"home", "b", 5, 2}, {"home", "a", 2, 2}, {"other home", "a", 10, 15}, {"", "a", 10, 15}, {"", "home", 10, 15}} {
				d := ask(c.home, c.key, 0)
				if own, all := p[0].Remaining(d.Debts[0]), p[1].Remaining(d.Debts[1]); own != c.own || all != c.all {
					t.Errorf("down %v: %d and %d are left of %q in %q; want %d and %d", down, own, all, c.key, c.home, c.own, c.all)
				}
			}
			if err := s.Reset(t.Context(), store.Request{Home: "home", Key: "a", Limits: p[1:]}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Microsecond)
			if d := ask("home", "b", 0); p[0].Remaining(d.Debts[0]) != 5 || p[1].Remaining(d.Debts[1]) != 15 {
				t.Errorf("down %v: after a reset of the home's bucket by another key, %+v", down, d)
			}
		})
	}
}
