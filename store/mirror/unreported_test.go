package mirror_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
)

func left(p *ratelimit.Policy, d ratelimit.Decision) int { return p.Bucket(0).Remaining(d.Debts[0]) }

// pair is two nodes on one shared store, of which the first can be cut off.
func pair(t *testing.T, c mirror.Config) (here, there *mirror.Store, cut *atomic.Bool) {
	t.Helper()
	shared := newFaulty()
	shared.trip = func() time.Duration { return time.Millisecond }
	l := &link{faulty: shared, t: t, ideal: &ideal{token: time.Hour}, told: new(atomic.Int64)}
	time.Sleep(time.Hour) // no clock begins with 0
	return newMirror(t, l, c), newMirror(t, shared, c), &l.cut
}

// TestOneFailureUndoesNoReset of another node: what a call adds here is dated as the
// debt was that it is added to, and a reset since then wins over both.
func TestOneFailureUndoesNoReset(t *testing.T) {
	for _, outage := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			here, there, cut := pair(t, mirror.Config{Nodes: 2})
			day := policy(t, ratelimit.PerDay(10).Named("daily"))
			take(t, here, "key", day, 4)
			time.Sleep(time.Minute)
			if err := there.Reset(t.Context(), "key", day); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			cut.Store(true)
			if !take(t, here, "key", day, 1).Allowed {
				t.Error("denied alone")
			}
			if outage {
				for range 3 {
					take(t, here, "other", day, 0)
				}
			}
			cut.Store(false)
			time.Sleep(time.Second)
			take(t, here, "key", day, 1)
			if n := left(day, take(t, there, "key", day, 0)); n < 8 {
				t.Errorf("with an outage %v, %d tokens are left after a reset and two calls; want 8", outage, n)
			}
		})
	}
}

// TestFirstCallOfAKeyFails: nothing was seen of the key, but the store's clock is known,
// and a reset wins all the same.
func TestFirstCallOfAKeyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, cut := pair(t, mirror.Config{})
		day := policy(t, ratelimit.PerDay(10).Named("daily"))
		take(t, here, "other", day, 4)
		cut.Store(true)
		take(t, here, "key", day, 8)
		cut.Store(false)
		time.Sleep(time.Minute)
		if err := there.Reset(t.Context(), "key", day); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := left(day, take(t, here, "key", day, 0)); n != 10 {
			t.Errorf("%d tokens are left after a reset; want 10", n)
		}
	})
}

// spy shows what is sent.
type spy struct {
	*faulty
	see func(r ratelimit.Request)
}

func (s spy) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	s.see(r)
	return s.faulty.Take(ctx, r)
}

// TestCallInABuffer: a call that a hung server executes a minute later brings knowledge
// that is a minute old, and is charged no more than its token.
func TestCallInABuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		var parked *ratelimit.Request
		s := newMirror(t, spy{shared, func(r ratelimit.Request) {
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

// TestLimitRaisedElsewhere: what was owed under the old limit is cut to what the new
// one can owe, at the instant when it was seen.
func TestLimitRaisedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pair(t, mirror.Config{Nodes: 2})
		old, raised := policy(t, ratelimit.PerDay(10)), policy(t, ratelimit.PerHour(10))
		take(t, here, "key", old, 10)
		time.Sleep(time.Minute)
		take(t, there, "key", raised, 1)
		time.Sleep(2 * time.Hour)
		if !take(t, here, "key", raised, 1).Allowed {
			t.Error("denied two hours after the limit was raised, with an empty debt")
		}
	})
}
