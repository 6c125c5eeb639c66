package mirror_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// outages are the ways to be down.
var outages = map[string]func(f *faulty){
	"refuses":            func(f *faulty) { f.down() },
	"hangs":              func(f *faulty) { f.hangs.Store(true) },
	"hangs, and charges": func(f *faulty) { f.hangs.Store(true); f.late.Store(true) },
}

// TestTakeOverAndBack: a single node keeps to its limit through an outage of ten seconds,
// whether the shared store keeps its data or not. No request waits longer than the timeout,
// few wait that long, and the shared store is soon asked again.
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
					if slowest > store.DefaultTimeout {
						t.Errorf("a request took %v; the timeout is %v", slowest, store.DefaultTimeout)
					}
					if asked := shared.asked.Load() - before; asked > 3+100*2 { // a failing probe asks once
						t.Errorf("the shared store was asked %d times while it was down", asked)
					}
					if h := s.Check(t.Context()); h.Status != store.StatusDegraded || h.Decides != mirror.PartLocal {
						t.Errorf("Check returned %+v; want degraded, decided here", h)
					}

					if lose {
						shared.lost.Add(1)
					}
					shared.up()
					n, _ = offer(t, s, p, 5*time.Millisecond, 200*time.Millisecond)
					admitted += n
					if h := s.Check(t.Context()); h.Status != store.StatusOK || h.Decides != mirror.PartShared {
						t.Errorf("0.2 s after the shared store works again, Check returned %+v", h)
					}
					n, _ = offer(t, s, p, 5*time.Millisecond, 5*time.Second)
					admitted += n
					// B + r*T, with T = 18.2 s and the 20 ms or so of Check in an outage.
					if admitted < 90 || admitted > 5+5*18+2 {
						t.Errorf("%d requests were admitted; want 90 to 97", admitted)
					}
				})
			})
		}
	}
}

// TestOnOneFailure: a request that fails is decided here, though the shared store is not down
// yet.
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
						t.Error("the first request was denied")
					}
					shared.up()
					take(t, s, "other", hour, 1)
				}
				// The debt that is handed over includes both requests once.
				if d := take(t, s, "key", hour, 0); d.Debts[0].Duration() > time.Hour || d.Debts[0].Duration() < time.Hour-time.Second {
					t.Errorf("the debt is %v after two requests of half an hour each", d.Debts[0].Duration())
				}
				if changes != 0 {
					t.Errorf("OnChange was called %d times", changes)
				}
			})
		})
	}
}

// TestCanceled: a request that is canceled gets an error, and is no failure.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{OnChange: func(c mirror.Change) { t.Errorf("OnChange(%+v)", c) }})
		hour := policy(t, ratelimit.PerHour(2))
		shared.hangs.Store(true)
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(40*time.Millisecond, cancel)
			_, err := s.Take(ctx, store.Request{Key: "key", Limits: hour, Cost: 1, Timeout: 50 * time.Millisecond})
			if store.ErrorClass(err) != store.ClassCanceled {
				t.Errorf("the error is %v; want one of class canceled", err)
			}
			cancel()
		}
		// A request with less time than half of the timeout is decided, and is no failure either.
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			if _, err := s.Take(ctx, store.Request{Key: "other", Limits: hour, Cost: 1, Timeout: 50 * time.Millisecond}); err != nil {
				t.Errorf("Take returned an error: %v", err)
			}
			cancel()
		}
	})
}
