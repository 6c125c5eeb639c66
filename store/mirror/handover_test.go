package mirror_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestLostData: a shared store that loses its data every second gives one node nothing,
// for 17 s at 5/s; without the mirror it gives half as much again.
func TestLostData(t *testing.T) {
	p := policy(t, ratelimit.PerSecond(5))
	for name, c := range map[string]struct {
		mirrored    bool
		least, most int
	}{
		"with the mirror": {true, 86, 90}, // B + r*T = 5 + 5*17
		"without":         {false, 140, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				shared.trip = func() time.Duration { return rand.N(2 * time.Millisecond) }
				var s ratelimit.Store = shared
				if c.mirrored {
					s = newMirror(t, shared, mirror.Config{})
				}
				admitted := 0
				for range 17 {
					n, _ := offer(t, s, p, 5*time.Millisecond, time.Second)
					admitted += n
					shared.lost.Add(1)
				}
				if admitted < c.least || admitted > c.most {
					t.Errorf("%d calls were admitted; want %d to %d", admitted, c.least, c.most)
				}
			})
		})
	}
}

// TestResetWinsOverCarry, on the node that did not hear of it, once its knowledge is a
// second old.
func TestResetWinsOverCarry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		here, there := newMirror(t, shared, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
		hour := policy(t, ratelimit.PerHour(10))
		take(t, here, "key", hour, 10)
		time.Sleep(5 * time.Second)
		if err := there.Reset(t.Context(), "key", hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if d := take(t, here, "key", hour, 10); !d.Allowed {
			t.Errorf("the key is denied after the reset, with the debts %v", d.Debts)
		}
	})
}

// TestResetWinsOverWhatWasAdmittedAlone by a node that began while the shared store was
// out of its reach: what it admitted is dated by the proof that found the store.
func TestResetWinsOverWhatWasAdmittedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		l := &link{faulty: shared, t: t, ideal: &ideal{token: time.Hour}, told: new(atomic.Int64)}
		time.Sleep(time.Hour)
		here, there := newMirror(t, l, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
		day := policy(t, ratelimit.PerDay(10).Named("daily"))
		l.cut.Store(true)
		for _, reset := range []bool{true, false} {
			for range 5 {
				if !take(t, here, "key", day, 1).Allowed {
					t.Error("a call was not admitted alone")
				}
			}
			if !reset {
				break
			}
			time.Sleep(time.Second)
			if err := there.Reset(t.Context(), "key", day); err != nil {
				t.Fatal(err)
			}
			l.cut.Store(false)
			time.Sleep(time.Second)
			if d := take(t, here, "key", day, 0); d.Debts[0] != (ratelimit.Debt{}) {
				t.Errorf("the debts are %v after the reset", d.Debts)
			}
			// Without a reset it counts.
			l.cut.Store(true)
			if !errors.Is(here.Reset(t.Context(), "key", day), errRefused) {
				t.Error("the reset reached the shared store")
			}
		}
		l.cut.Store(false)
		time.Sleep(time.Second)
		d := take(t, here, "key", day, 0)
		if left := day.Bucket(0).Remaining(d.Debts[0]); left != 5 {
			t.Errorf("%d tokens are left; want 5", left)
		}
	})
}

// TestNothingIsLearnedFromOverflow: a bucket that keys share says nothing of one of them.
func TestNothingIsLearnedFromOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &overflowing{newFaulty()}
		s := newMirror(t, shared, mirror.Config{})
		hour := policy(t, ratelimit.PerHour(1))
		take(t, s, "key", hour, 1)
		for range 3 {
			take(t, s, "key", hour, 1)
		}
		if n := shared.asked.Load(); n != 4 {
			t.Errorf("the shared store was asked %d times; want 4", n)
		}
		shared.lost.Add(1)
		if !take(t, s, "key", hour, 1).Allowed {
			t.Error("a debt of a shared bucket was carried")
		}
	})
}

// overflowing is a shared store that has no room for any bucket.
type overflowing struct{ *faulty }

func (o *overflowing) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	d, err := o.faulty.Take(ctx, r)
	d.Overflow = true
	return d, err
}
