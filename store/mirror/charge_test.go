package mirror

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestChargeOutlivesAnAnswer: a call that is decided here while another is on its way
// is still owed when that is answered.
func TestChargeOutlivesAnAnswer(t *testing.T) {
	s, _ := New(memstore.New(memstore.Config{}), Config{})
	p := mustPolicy(t, ratelimit.PerHour(10))
	r := ratelimit.Request{Key: "key", Policy: p, Cost: 1}
	a, b := s.trip(r.Key), s.trip(r.Key)
	a.sent, b.sent = s.now(), s.now()
	var d ratelimit.Decision
	s.recall(&r, b, true, &d)
	sh := s.memory.shard(a.hash)
	sh.charge(&r, a, s.now(), s.memory.most)
	answer := ratelimit.Decision{Allowed: true, Now: 1000, Debts: [ratelimit.MaxLimits]ratelimit.Debt{{Micros: 360_000_000}}}
	s.learn(&r, b, &answer)
	if debt := sh.owed(&r, a, s.now())[0]; debt.Micros < 719_000_000 {
		t.Errorf("after two calls %v are owed, want 720s", debt.Duration())
	}
}
