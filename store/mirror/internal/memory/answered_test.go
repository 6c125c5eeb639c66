package memory

import (
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// TestChargeOutlivesAnAnswer: a request that was decided here while another was in flight is
// still owed when that is answered.
func TestChargeOutlivesAnAnswer(t *testing.T) {
	m := New(1000, 1, clock.Start())
	r := store.Request{Key: "key", Limits: testkit.Limits(t, ratelimit.PerHour(10)), Cost: 1}
	var a, b Attempt
	var clock clock.Shared
	m.Begin(&r, &a, &clock)
	m.Begin(&r, &b, &clock)
	var d store.Decision
	m.Before(&r, &b, &d)
	if d := m.Alone(&r, &a); !d.Allowed {
		t.Errorf("the first request was denied: %+v", d)
	}
	answer := store.Decision{Allowed: true, Now: 1000, Debts: [store.MaxLimits]gcra.Debt{{Micros: 360_000_000}}}
	m.Answered(&r, &b, &answer, m.clock.Now())
	m.shard(a.id).debts(&r, r.Limits, &a, m.clock.Now())
	if debt := a.known[0].Debt; debt.Micros < 719_000_000 {
		t.Errorf("after two requests the debt is %v, want 720s", debt.Duration())
	}
}
