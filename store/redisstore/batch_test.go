package redisstore

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// TestBrokenKnowledge: knowledge that no bucket can have does not affect the other calls
// of the batch.
func TestBrokenKnowledge(t *testing.T) {
	server := startRedis(t)
	s := newStore(t, patient(t, server.address), Config{})
	p := policy(t, ratelimit.Limit{Rate: 7, Period: time.Hour, Burst: 100})
	now := time.Now().UnixMicro()
	broken := &store.Knowledge{{Debt: gcra.Debt{Micros: 1e9}, TAT: gcra.TAT{Micros: now + 5e8, Frac: 50, Den: 7}}}
	var calls []*call
	for _, r := range []store.Request{
		{Key: "one", Limits: p, Cost: 1},
		{Key: "broken", Limits: p, Cost: 1, Known: broken},
		{Key: "other", Limits: p, Cost: 1},
	} {
		calls = append(calls, newCall(t.Context(), &s.calls, r, s.names.owner("", r.Key)))
	}
	s.send(t.Context(), calls)
	for _, c := range calls {
		if c.err != nil || !c.decision.Allowed {
			t.Errorf("%s: %+v, %v", c.request.Key, c.decision, c.err)
		}
	}
	if n := s.foreign.Load(); n != 0 {
		t.Errorf("%d foreign values", n)
	}
}
