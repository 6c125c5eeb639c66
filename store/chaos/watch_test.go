package chaos_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/chaos"
)

// A watch asks a Redis of its own, to which nothing happens, for the time, again and
// again. What it has to wait for the answer is the machine's share in what others
// have to wait.
type watch struct{ slowest atomic.Int64 }

func startWatch(t *testing.T) *watch {
	t.Helper()
	server := chaos.StartServer(t)
	w, stop, stopped := &watch{}, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			start := time.Now()
			_, _ = server.Try("TIME")
			w.slowest.Store(max(w.slowest.Load(), int64(time.Since(start))))
			time.Sleep(2 * time.Millisecond)
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return w
}

func (w *watch) share() time.Duration { return time.Duration(w.slowest.Load()) }

// wantInBudget fails the test if calls took longer than their timeout, 20 ms and the
// machine's share.
func (w *watch) wantInBudget(t testing.TB, took []time.Duration) {
	t.Helper()
	budget := chaos.Patience(ratelimit.DefaultTimeout+20*time.Millisecond) + 2*w.share()
	late := 0
	for _, d := range took {
		if d > budget {
			late++
		}
	}
	if late > len(took)/100 {
		t.Errorf("of %d calls %d took longer than %v, the slowest %v", len(took), late, budget, slowest(took))
	}
}

// wantNoErrors fails the test if a call had an error, and the machine has no share in
// it: one call in a thousand may run out of time, and one in twenty where even the
// time cannot be told at once.
func (w *watch) wantNoErrors(t testing.TB, c tally) {
	t.Helper()
	oneIn := 1000
	if w.share() > ratelimit.DefaultTimeout/2 {
		oneIn = 20
	}
	if n := c.errors[ratelimit.ClassTimeout]; n > 0 && n == count(c.errors) && n*oneIn <= c.answered {
		t.Logf("%d of %d calls ran out of time, while the time itself took %v", n, c.answered, w.share())
		return
	}
	wantNoErrors(t, c)
}
