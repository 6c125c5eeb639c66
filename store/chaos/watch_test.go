package chaos_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
)

// A watch looks for stalls, also with a Redis of its own that has no fault.
type watch struct{ *testkit.Stalls }

func startWatch(t *testing.T) *watch {
	t.Helper()
	server := chaos.StartServer(t)
	return &watch{testkit.WatchStalls(t, func() { _, _ = server.Try("TIME") })}
}

// within returns a time bound, extended by chaos.Patience and all stalls so far.
func (w *watch) within(bound time.Duration) time.Duration {
	return w.Widen(chaos.Patience(bound), time.Time{})
}

// spoilt reports whether a call ran out of time because the machine stalled.
func (w *watch) spoilt(a answer) bool {
	return a.late && w.Worst(a.at.Add(-4*store.DefaultTimeout), a.at) > store.DefaultTimeout/3
}

// wantInBudget fails the test if calls took longer than their timeout, 20 ms and the stalls
// of the machine.
func (w *watch) wantInBudget(t testing.TB, took []time.Duration) {
	t.Helper()
	budget, late := w.within(store.DefaultTimeout+20*time.Millisecond), 0
	for _, d := range took {
		if d > budget {
			late++
		}
	}
	if late > len(took)/100 {
		t.Errorf("of %d calls %d took longer than %v, the slowest %v", len(took), late, budget, slowest(took))
	}
}

// wantNoErrors fails the test if a call had an error that no stall explains; one call in a
// thousand may time out all the same. It also fails if stalls spoilt more than half of the
// calls.
func (w *watch) wantNoErrors(t testing.TB, c tally) {
	t.Helper()
	if n := c.late; n > 0 && n == count(c.errors) && (n-c.spoilt)*1000 <= c.answered && c.spoilt*2 <= c.answered {
		t.Logf("%d of %d calls ran out of time, %d of them in a stall", n, c.answered, c.spoilt)
		return
	}
	wantNoErrors(t, c)
}
