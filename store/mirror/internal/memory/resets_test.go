package memory

import (
	"fmt"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// TestResetOfAnotherKey in the same shard does not make the memory ignore an answer; a reset
// of the key does.
func TestResetOfAnotherKey(t *testing.T) {
	p := testkit.Limits(t, ratelimit.PerDay(10))
	answer := store.Decision{Allowed: true, Now: 1000, Debts: [store.MaxLimits]gcra.Debt{p[0].Capacity()}}
	for _, c := range []struct {
		reset   string
		resets  int
		ignored bool
	}{{"another key", 1, false}, {"another key", 8, false}, {"key", 1, true}, {"another key", 9, true}} {
		m := New(1, 1, clock.Start(), true) // one shard
		r := store.Request{Key: "key", Limits: p, Cost: 1}
		var a Attempt
		var d store.Decision
		m.Begin(&r, &a, new(clock.Shared))
		if v := m.Before(&r, &a, &d); v != Ask {
			t.Fatalf("the verdict is %v; want Ask", v)
		}
		for i := range c.resets {
			key := c.reset
			if i > 0 {
				key = fmt.Sprint(key, i)
			}
			m.Reset(t.Context(), store.Request{Key: key, Limits: p})
		}
		m.Answered(&r, &a, &answer, m.clock.Now())
		m.Begin(&r, &a, new(clock.Shared))
		if v := m.Before(&r, &a, &d); (v == Ask) != c.ignored {
			t.Errorf("%d resets of %q: the verdict is %v; want that the answer is ignored: %v", c.resets, c.reset, v, c.ignored)
		}
	}
}
