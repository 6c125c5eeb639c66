package mirror_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// crowd makes requests for one key at once and returns how many were admitted.
func crowd(t *testing.T, s *mirror.Store, p []store.Limit, n int) int {
	var admitted atomic.Int64
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			if take(t, s, "key", p, 1).Allowed {
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	return int(admitted.Load())
}

// TestCrowd: of many requests for one key, as many ask as may be admitted. The others are
// denied by their answers.
func TestCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond }
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(5))
		start := time.Now()
		for round, want := range []int{5, 1, 1, 1} {
			before := shared.asked.Load()
			if n := crowd(t, s, p, 64); n != want {
				t.Errorf("round %d: %d were admitted; want %d", round, n, want)
			}
			if n := shared.asked.Load() - before; n > int64(2*want) {
				t.Errorf("round %d: %d requests asked for %d admitted; want twice as many at most", round, n, want)
			}
			if took := time.Since(start) - time.Duration(round)*205*time.Millisecond; took > 10*time.Millisecond {
				t.Errorf("round %d: a request waited for %v, where a round trip takes 2ms", round, took)
			}
			time.Sleep(205*time.Millisecond*time.Duration(round+1) - time.Since(start))
		}
	})
}

// TestWaitEnds: requests that wait for others that hang wait no longer than those, and are no
// failures of the store.
func TestWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerHour(2))
		shared.hangs.Store(true)
		start := time.Now()
		if n := crowd(t, s, p, 64); n != 2 {
			t.Errorf("%d were admitted; want 2", n)
		}
		if took := time.Since(start); took > store.DefaultTimeout {
			t.Errorf("it took %v; want %v", took, store.DefaultTimeout)
		}
		if n := shared.asked.Load(); n != 2 {
			t.Errorf("%d requests asked; want 2", n)
		}
	})
	// A request that is canceled while it waits returns.
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerHour(1))
		shared.hangs.Store(true)
		go func() { _, _ = s.Take(t.Context(), store.Request{Key: "key", Limits: p, Cost: 1}) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		_, err := s.Take(ctx, store.Request{Key: "key", Limits: p, Cost: 1})
		if store.ErrorClass(err) != store.ClassCanceled {
			t.Errorf("the error is %v; want one of class canceled", err)
		}
		time.Sleep(time.Second)
	})
}

// TestPanicEndsAnAttempt: no request waits for one whose store panicked.
func TestPanicEndsAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		panics := true
		s := newMirror(t, spy{shared, func(store.Request) {
			if panics {
				panic("a SelfTimed store that panics")
			}
		}}, mirror.Config{})
		p := policy(t, ratelimit.PerHour(2))
		take(t, s, "key", p, 1)
		panics = false
		start := time.Now()
		if n := crowd(t, s, p, 8); n != 1 {
			t.Errorf("%d were admitted; want 1", n)
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("a request waited for %v", took)
		}
	})
}

// TestNoHerd: waiting requests do not all ask at once, however often they have waited.
func TestNoHerd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		shared.trip = func() time.Duration { return time.Millisecond + rand.N(10*time.Millisecond) }
		s := newMirror(t, shared, mirror.Config{})
		day := policy(t, ratelimit.PerDay(50))
		var wg sync.WaitGroup
		var admitted atomic.Int64
		for range 2000 {
			wg.Go(func() {
				if take(t, s, "key", day, 1).Allowed {
					admitted.Add(1)
				}
			})
		}
		wg.Wait()
		if asked := shared.asked.Load(); asked > 60 {
			t.Errorf("of 2000 requests for the 50 tokens of a key, %d asked (%d admitted)", asked, admitted.Load())
		}
	})
}

// TestExpensiveRequestsAreNotStarved by cheap ones that are always in flight.
func TestExpensiveRequestsAreNotStarved(t *testing.T) {
	for _, fail := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			shared.trip = func() time.Duration { return 5*time.Millisecond + rand.N(5*time.Millisecond) }
			s := newMirror(t, shared, mirror.Config{})
			p := policy(t, ratelimit.PerSecond(5000).WithBurst(100))
			var wg sync.WaitGroup
			end := time.Now().Add(10 * time.Second)
			for range 60 {
				wg.Go(func() {
					for time.Now().Before(end) {
						take(t, s, "key", p, 1)
						time.Sleep(5 * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Second)
			if fail {
				shared.down()
				take(t, s, "key", p, 1)
				shared.up()
			}
			admitted, knowledge, share := 0, 0, 0
			for range 50 {
				d := take(t, s, "key", p, 70)
				if d.Allowed {
					admitted++
				}
				switch d.Source {
				case store.FromKnowledge:
					knowledge++
				case store.FromShare:
					share++
				}
				time.Sleep(100 * time.Millisecond)
			}
			wg.Wait()
			t.Logf("failure %v: of 50 expensive requests, %d were admitted, %d denied from knowledge, %d by the share", fail, admitted, knowledge, share)
			if admitted < 40 {
				t.Errorf("failure %v: of 50 expensive requests, %d were admitted, %d denied from knowledge, %d by the share", fail, admitted, knowledge, share)
			}
		})
	}
}
