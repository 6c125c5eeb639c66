package mirror_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// TestConcurrentUse does everything at once, in real time, for the race detector: answers
// are possible, transitions alternate, and no goroutine is left.
func TestConcurrentUse(t *testing.T) {
	before := runtime.NumGoroutine()
	policies := [][]store.Limit{
		policy(t, ratelimit.PerSecond(5)),
		policy(t, ratelimit.PerSecond(7).WithBurst(3), ratelimit.PerMinute(70).Named("m")),
		policy(t, ratelimit.PerMinute(3)),
		policy(t, ratelimit.PerSecond(700).Named("m")),
	}
	for nodes := range 3 {
		useNode(t, nodes+1, policies)
	}
	for wait := time.Millisecond; runtime.NumGoroutine() > before && wait < time.Minute; wait *= 2 {
		time.Sleep(wait)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("there were %d goroutines, and are %d", before, n)
	}
}

func useNode(t *testing.T, nodes int, policies [][]store.Limit) {
	shared := newFaulty()
	var last atomic.Bool
	var running atomic.Int64
	s, err := mirror.New(shared, mirror.Config{Nodes: nodes, MaxKeys: 64, OnChange: func(c mirror.Change) {
		if running.Add(1) != 1 || last.Swap(c.Down) == c.Down {
			t.Error("OnChange ran twice at once, or reported the same twice")
		}
		running.Add(-1)
	}})
	if err != nil {
		t.Fatal(err)
	}
	end := time.Now().Add(300 * time.Millisecond)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for time.Now().Before(end) {
				anything(t, s, fmt.Sprint(rand.IntN(50)), policies[rand.IntN(len(policies))])
			}
		})
	}
	wg.Go(func() {
		for time.Now().Before(end) {
			switch rand.IntN(4) {
			case 0:
				shared.down()
			case 1:
				shared.hangs.Store(true)
			case 2:
				shared.lost.Add(1)
			default:
				shared.up()
			}
			time.Sleep(rand.N(20 * time.Millisecond))
		}
	})
	wg.Wait()
	for range 2 {
		wg.Go(func() { _ = s.Close() })
	}
	wg.Wait()
}

// anything makes a random request.
func anything(t *testing.T, s *mirror.Store, key string, p []store.Limit) {
	r := store.Request{Key: key, Limits: p, Cost: rand.IntN(5) - 1, Timeout: 5 * time.Millisecond}
	switch rand.IntN(40) {
	case 0:
		_ = s.Reset(t.Context(), store.Request{Key: key, Limits: p})
	case 1:
		s.Check(t.Context())
	case 2:
		ctx, cancel := context.WithTimeout(t.Context(), rand.N(time.Millisecond))
		_, _ = s.Take(ctx, r)
		cancel()
	default:
		d, err := s.Take(t.Context(), r)
		if err != nil {
			t.Error(err)
			return
		}
		check(t, p, r.Cost, d)
	}
}
