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
	m := New(1000, 1, clock.Start(), true)
	r := store.Request{Key: "key", Limits: testkit.Limits(t, ratelimit.PerHour(10)), Cost: 1}
	var a, b Attempt
	var clock clock.Shared
	m.Begin(&r, &a, &clock)
	m.Begin(&r, &b, &clock)
	var d store.Decision
	m.Before(&r, &b, &d)
	if d := m.Alone(&r, &a, false); !d.Allowed {
		t.Errorf("the first request was denied: %+v", d)
	}
	answer := store.Decision{Allowed: true, Now: 1000, Debts: [store.MaxLimits]gcra.Debt{{Micros: 360_000_000}}}
	m.Answered(&r, &b, &answer, m.clock.Now())
	m.shard(&a.owners).debts(&r, r.Limits, &a, m.clock.Now())
	if debt := a.known[0].Debt; debt.Micros < 719_000_000 {
		t.Errorf("after two requests the debt is %v, want 720s", debt.Duration())
	}
}

// TestCarriedDebtIsOfOneRequest: an Attempt that is used again forgets what it handed over
// before. Otherwise an answer would end an unreported debt that the shared store has not seen.
func TestCarriedDebtIsOfOneRequest(t *testing.T) {
	m := New(1000, 1, clock.Start(), true)
	r := store.Request{Key: "key", Limits: testkit.Limits(t, ratelimit.PerHour(10)), Cost: 1}
	free := r
	free.Cost = 0
	var a Attempt
	var d store.Decision
	begin := func(r *store.Request) {
		m.Begin(r, &a, new(clock.Shared))
	}
	begin(&r)
	m.Alone(&r, &a, false)
	begin(&r)
	m.Before(&r, &a, &d)
	m.Abandoned(&r, &a)
	begin(&free)
	m.Before(&free, &a, &d)
	m.Answered(&free, &a, &store.Decision{Allowed: true, Now: 1}, m.clock.Now())
	if found := m.shard(&a.owners).find(a.owners.of(&r.Limits[0])); found == nil || !found.unreported {
		t.Errorf("the debt is reported: %+v", found)
	}
}
