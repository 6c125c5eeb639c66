package mirror_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

// outages are ways to be away.
var outages = map[string]func(f *faulty){
	"refuses":            func(f *faulty) { f.down() },
	"hangs":              func(f *faulty) { f.hangs.Store(true) },
	"hangs, and charges": func(f *faulty) { f.hangs.Store(true); f.late.Store(true) },
}

// TestTakeOverAndBack: a single node admits what its limit says, through an outage of
// ten seconds, whether the shared store keeps its data or not; nobody waits longer than
// the timeout, few wait so long, and the shared store is soon asked again.
func TestTakeOverAndBack(t *testing.T) {
	p := policy(t, ratelimit.PerSecond(5))
	for name, begin := range outages {
		for _, lose := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, loses its data: %v", name, lose), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					shared := newFaulty()
					s := newMirror(t, shared, mirror.Config{})
					admitted, _ := offer(t, s, p, 5*time.Millisecond, 3*time.Second)

					begin(shared)
					before := shared.asked.Load()
					n, slowest := offer(t, s, p, 5*time.Millisecond, 10*time.Second)
					admitted += n
					if slowest > ratelimit.DefaultTimeout {
						t.Errorf("a call took %v; the timeout is %v", slowest, ratelimit.DefaultTimeout)
					}
					if asked := shared.asked.Load() - before; asked > 3+100*2 { // a proof is one call that fails
						t.Errorf("the shared store was asked %d times while it was away", asked)
					}
					if h := s.Check(t.Context()); h.Status != ratelimit.StatusDegraded || h.Decides != mirror.PartLocal {
						t.Errorf("Check says %+v; want degraded, decided here", h)
					}

					if lose {
						shared.lost.Add(1)
					}
					shared.up()
					n, _ = offer(t, s, p, 5*time.Millisecond, 200*time.Millisecond)
					admitted += n
					if h := s.Check(t.Context()); h.Status != ratelimit.StatusOK || h.Decides != mirror.PartShared {
						t.Errorf("0.2 s after the shared store was well, Check says %+v", h)
					}
					n, _ = offer(t, s, p, 5*time.Millisecond, 5*time.Second)
					admitted += n
					// B + r*T, of 18.2 s; and the last 20 ms or so of Check in an outage.
					if admitted < 90 || admitted > 5+5*18+2 {
						t.Errorf("%d calls were admitted; want 90 to 97", admitted)
					}
				})
			})
		}
	}
}

// TestOnOneFailure the call is decided here, though the shared store is not away yet.
func TestOnOneFailure(t *testing.T) {
	for name, begin := range outages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				changes := 0
				s := newMirror(t, shared, mirror.Config{OnChange: func(mirror.Change) { changes++ }})
				hour := policy(t, ratelimit.PerHour(2))
				for range 2 {
					begin(shared)
					if !take(t, s, "key", hour, 1).Allowed {
						t.Error("a call was denied though nobody had called")
					}
					shared.up()
					take(t, s, "other", hour, 1)
				}
				// Both calls are in the debt that is carried, once.
				if d := take(t, s, "key", hour, 0); d.Debts[0].Duration() > time.Hour || d.Debts[0].Duration() < time.Hour-time.Second {
					t.Errorf("the debt is %v after two calls of half an hour each", d.Debts[0].Duration())
				}
				if changes != 0 {
					t.Errorf("OnChange was called %d times", changes)
				}
			})
		})
	}
}

// TestGaveUp: a caller who cancels gets an error, and is no failure.
func TestGaveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{OnChange: func(c mirror.Change) { t.Errorf("OnChange(%+v)", c) }})
		hour := policy(t, ratelimit.PerHour(2))
		shared.hangs.Store(true)
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(40*time.Millisecond, cancel)
			_, err := s.Take(ctx, ratelimit.Request{Key: "key", Policy: hour, Cost: 1, Timeout: 50 * time.Millisecond})
			if ratelimit.ErrorClass(err) != ratelimit.ClassCanceled {
				t.Errorf("the error is %v; want one of class canceled", err)
			}
			cancel()
		}
		// So it is with one who had less time than half of the timeout; he is answered.
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if _, err := s.Take(ctx, ratelimit.Request{Key: "other", Policy: hour, Cost: 1, Timeout: 50 * time.Millisecond}); err != nil {
				t.Errorf("Take returned an error: %v", err)
			}
			cancel()
		}
	})
}
