package mirror_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// lossy decides requests, and loses some of the answers.
type lossy struct {
	*faulty
	lose func() bool
}

func (l lossy) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	d, err := l.faulty.Take(ctx, r)
	if !l.lose() {
		return d, err
	}
	select {
	case <-ctx.Done():
	case <-time.After(r.Timeout):
	}
	return store.Decision{}, &store.Error{Class: store.ClassTimeout, Err: context.DeadlineExceeded}
}

// TestLostAnswer: the shared store charged a request, another answer included that, and then
// the node decides the request. It may be charged twice, but not more often, and not less
// than once.
func TestLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		var n atomic.Int64
		s := newMirror(t, lossy{shared, func() bool { return n.Add(1)%2 == 1 }}, mirror.Config{})
		day := policy(t, ratelimit.PerDay(100))
		var admitted atomic.Int64
		one := func() {
			if take(t, s, "key", day, 1).Allowed {
				admitted.Add(1)
			}
		}
		for range 10 {
			var wg sync.WaitGroup
			wg.Go(one) // charged, its answer is lost
			time.Sleep(10 * time.Millisecond)
			wg.Go(one) // answered
			wg.Wait()
		}
		n.Store(1)
		if owed := 100 - left(day, take(t, s, "key", day, 0)); owed < int(admitted.Load()) || owed > int(admitted.Load())+10 {
			t.Errorf("%d tokens are owed for %d requests, 10 of them with lost answers", owed, admitted.Load())
		}
	})
}

// some fails some requests at once: one in so many, or half of them at random.
type some struct {
	*faulty
	n     atomic.Int64
	every int64 // 0: at random
}

func (s *some) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if s.every == 0 && rand.IntN(2) == 0 || s.every > 0 && s.n.Add(1)%s.every == 0 {
		time.Sleep(500 * time.Microsecond)
		return store.Decision{}, errRefused
	}
	return s.faulty.Take(ctx, r)
}

// TestFailingRequestsKeepToTheLimit: of many concurrent requests, some fail and are decided
// here while others are in flight. One node admits what its limit allows.
func TestFailingRequestsKeepToTheLimit(t *testing.T) {
	const trip = 4 * time.Millisecond
	during := time.Duration(testkit.Count(4, 20)) * time.Second
	for _, every := range []int64{0, 2, 3, 10} {
		for _, l := range []ratelimit.Limit{
			ratelimit.PerSecond(5), ratelimit.PerMinute(60), ratelimit.PerSecond(200), ratelimit.PerSecond(1000).WithBurst(100),
		} {
			synctest.Test(t, func(t *testing.T) {
				shared := newFaulty()
				shared.trip = func() time.Duration { return rand.N(trip / 2) }
				s := newMirror(t, &some{faulty: shared, every: every}, mirror.Config{})
				p := policy(t, l)
				var admitted, alone atomic.Int64
				var wg sync.WaitGroup
				for range 16 {
					wg.Go(func() {
						for start := time.Now(); time.Since(start) < during; time.Sleep(rand.N(10 * time.Millisecond)) {
							d := take(t, s, "key", p, 1)
							if d.Allowed {
								admitted.Add(1)
							}
							if d.Source == store.FromShare {
								alone.Add(1)
							}
						}
					})
				}
				wg.Wait()
				made := float64(l.Rate) * float64(during+10*time.Millisecond) / float64(l.Period)
				bound := float64(p[0].Burst()) + made
				if n := admitted.Load(); float64(n) > bound || float64(n) < made*9/10 {
					t.Errorf("every %d, %v: %d were admitted, %d of them decided here; want %.0f to %.0f", every, l, n, alone.Load(), made*9/10, bound)
				}
			})
		}
	}
}

// TestEveryTokenIsUsedOnce: half of the requests under a daily limit fail, and still exactly
// the limit is admitted.
func TestEveryTokenIsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return 5 * time.Millisecond }
		s := newMirror(t, &some{faulty: shared, every: 2}, mirror.Config{})
		day := policy(t, ratelimit.PerDay(100))
		var admitted atomic.Int64
		for range 60 {
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					if take(t, s, "key", day, 1).Allowed {
						admitted.Add(1)
					}
				})
			}
			wg.Wait()
		}
		if n := admitted.Load(); n != 100 {
			t.Errorf("%d requests were admitted; want 100", n)
		}
	})
}
