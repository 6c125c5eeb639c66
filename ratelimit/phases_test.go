package ratelimit

import (
	"math"
	"sync"
	"testing"
	"time"
)

// TestNoPhaseComesBack: neither a clock that is set back, nor a caller who read it before
// others did, takes a limit out of force. All callers have the same phase.
func TestNoPhaseComesBack(t *testing.T) {
	p, err := NewPolicy(PerHour(1).EnforcedFrom(time.Unix(100, 0)), PerHour(1).Named("b").EnforcedFrom(time.Unix(200, 0)))
	if err != nil {
		t.Fatal(err)
	}
	ps := p.phases
	var last *phase
	for i, step := range []struct {
		now                   int64
		enforced, beside      int
		shadow, another, ends bool
	}{
		{99, 2, 0, true, true, false},
		{1, 2, 0, true, false, false},
		{100, 1, 1, false, true, false},
		{99, 1, 1, false, false, false}, // set back
		{199, 1, 1, false, false, false},
		{math.MaxInt64 - 1, 2, 0, false, true, true}, // set forward
		{1, 2, 0, false, false, true},
	} {
		ph := ps.nowAt(step.now)
		if len(ph.policy.limits) != step.enforced || len(ph.policy.beside) != step.beside || ph.shadow != step.shadow || (ph != last) != step.another || (ph.until == math.MaxInt64) != step.ends {
			t.Errorf("step %d: %+v", i, ph)
		}
		last = ph
	}

	for range 200 { // a late reader of the clock does not bring back an earlier phase
		ps.current.Store(nil)
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() { ps.nowAt(int64(99 + i%2)) })
		}
		wg.Wait()
		if ph := ps.nowAt(99); ph.shadow {
			t.Fatal("a limit was taken out of force")
		}
	}
}
