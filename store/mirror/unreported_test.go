package mirror_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestForeignKnowledge: a request that brings its own knowledge does not make the mirror forget
// what it admitted.
func TestForeignKnowledge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		s := newMirror(t, shared, mirror.Config{})
		day := policy(t, ratelimit.PerDay(10))
		shared.down()
		admitted := 0
		for range 20 {
			if take(t, s, "key", day, 1).Allowed {
				admitted++
			}
		}
		shared.up()
		time.Sleep(time.Second)
		if _, err := s.Take(t.Context(), store.Request{Key: "key", Limits: day, Cost: 0, Timeout: 50 * time.Millisecond, Known: &store.Knowledge{}}); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if take(t, s, "key", day, 1).Allowed {
				admitted++
			}
		}
		if admitted > 10 {
			t.Errorf("10 a day: %d were admitted by one node", admitted)
		}
	})
}

// TestUnreportedDebtEnds: a failed request makes the debt of its key unreported. That ends
// although requests of the key overlap, and knowledge denies again.
func TestUnreportedDebtEnds(t *testing.T) {
	for _, fail := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			shared.trip = func() time.Duration { return 5*time.Millisecond + rand.N(5*time.Millisecond) }
			s := newMirror(t, shared, mirror.Config{})
			p := policy(t, ratelimit.PerSecond(1000).WithBurst(10000))
			take(t, s, "key", p, 5000)
			var wg sync.WaitGroup
			end := time.Now().Add(20 * time.Second)
			for range 20 { // about 800 a second
				wg.Go(func() {
					for time.Now().Before(end) {
						take(t, s, "key", p, 1)
						time.Sleep(10 * time.Millisecond)
					}
				})
			}
			time.Sleep(time.Second)
			if fail {
				shared.down()
				take(t, s, "key", p, 1)
				shared.up()
			}
			time.Sleep(5 * time.Second)
			asked, slowest := 0, time.Duration(0)
			for range 200 {
				var a bool
				before := time.Now()
				d, err := s.Take(context.WithValue(t.Context(), askedKey{}, &a), store.Request{Key: "key", Limits: p, Cost: 9000, Timeout: 50 * time.Millisecond})
				if err != nil || d.Allowed {
					t.Error("cost 9000 was admitted", err)
				}
				slowest = max(slowest, time.Since(before))
				if a {
					asked++
				}
				time.Sleep(10 * time.Millisecond)
			}
			wg.Wait()
			t.Logf("after a failure: %v; of 200 requests that knowledge denies, %d asked; slowest %v", fail, asked, slowest)
			if asked > 20 {
				t.Errorf("after a failure: %v; of 200 requests that knowledge denies, %d asked; slowest %v", fail, asked, slowest)
			}
		})
	}
}

// TestSlowAnswer: the debt of a slow answer is dated by its decision, not by its arrival.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newFaulty()
		time.Sleep(time.Second) // the shared clock is ahead
		s := newMirror(t, shared, mirror.Config{})
		p := policy(t, ratelimit.PerSecond(1000).WithBurst(30))
		take(t, s, "another", p, 1) // at once: the clock is known
		there := true
		shared.trip = func() time.Duration {
			if there = !there; there {
				return 40 * time.Millisecond
			}
			return time.Millisecond
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if d := take(t, s, "key", p, 29); d.Source != store.FromStore || !d.Allowed {
				t.Error(d)
			}
		})
		time.Sleep(2 * time.Millisecond)
		shared.down()
		if d := take(t, s, "key", p, 1); d.Source != store.FromShare || !d.Allowed {
			t.Error(d)
		}
		shared.up()
		wg.Wait() // 41 ms; the shared store's bucket has been full since 30 ms
		shared.trip = nil
		if n := left(p, take(t, s, "key", p, 0)); n != 30 {
			t.Errorf("%d of 30 tokens are left of a bucket that has been full for 10 ms", n)
		}
	})
}
