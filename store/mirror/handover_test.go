package mirror_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestLostData: a shared store that loses its data every second, 17 s long, makes one node
// admit no more than 5/s. Without the mirror half as much again is admitted.
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
				var s store.Store = shared
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
					t.Errorf("%d requests were admitted; want %d to %d", admitted, c.least, c.most)
				}
			})
		})
	}
}

// TestNothingIsLearnedFromOverflow: a bucket that keys share proves nothing about one key.
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
			t.Error("a debt of a shared bucket was handed over")
		}
	})
}

// overflowing is a shared store that has no room for any bucket.
type overflowing struct{ *faulty }

func (o *overflowing) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := o.faulty.Take(ctx, r)
	d.Overflow = true
	return d, err
}

// TestHandOverOfWhatWasAdmittedAlone, for a key that the shared store has never seen.
func TestHandOverOfWhatWasAdmittedAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		here, there := newMirror(t, shared, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
		hour := policy(t, ratelimit.PerHour(10))
		shared.down()
		for range 10 {
			take(t, here, "key", hour, 1)
		}
		shared.up()
		time.Sleep(2 * time.Second)   // until it needs no room in the share
		take(t, here, "key", hour, 1) // admitted, and hands over the debt
		d := take(t, there, "key", hour, 0)
		if left := hour[0].Remaining(d.Debts[0]); left != 10-6 {
			t.Errorf("%d tokens are left; want 4: five were granted alone, and one since", left)
		}
	})
}

// spy sees each request that is sent.
type spy struct {
	*faulty
	see func(r store.Request)
}

func (s spy) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	s.see(r)
	return s.faulty.Take(ctx, r)
}

// TestRequestInABuffer: a request that a hung server executes a minute later brings knowledge
// that is a minute old, and is charged no more than its token.
func TestRequestInABuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		var parked *store.Request
		s := newMirror(t, spy{shared, func(r store.Request) {
			if shared.hangs.Load() && parked == nil && r.Known != nil && !strings.HasPrefix(r.Key, "probe ") {
				known := *r.Known
				r.Known = &known
				parked = &r
			}
		}}, mirror.Config{})
		p := policy(t, ratelimit.PerMinute(10))
		time.Sleep(time.Hour)
		take(t, s, "other", p, 1)
		shared.down()
		take(t, s, "key", p, 9)
		shared.up()
		shared.hangs.Store(true)
		take(t, s, "key", p, 1) // waits in the buffer
		time.Sleep(time.Minute)
		shared.hangs.Store(false)
		if parked == nil {
			t.Fatal("nothing was sent with knowledge")
		}
		parked.Key = shared.key(parked.Key)
		d, _ := shared.store.Take(t.Context(), *parked)
		if n := left(p, d); n != 9 {
			t.Errorf("%d tokens are left; want 9", n)
		}
	})
}
