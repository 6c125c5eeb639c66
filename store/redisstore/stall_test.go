package redisstore

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A stall is how long the machine let a goroutine wait at worst, while it was watched.
// Whatever is late by that much is not the store's fault.
type stall struct{ worst atomic.Int64 }

func watchStalls(t testing.TB) *stall {
	var s stall
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			start := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if late := int64(time.Since(start) - time.Millisecond); late > s.worst.Load() {
				s.worst.Store(late)
			}
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return &s
}

// limit returns how long a decision with a budget may take: 20 ms more than that, on a
// machine that never stalls.
func (s *stall) limit(budget time.Duration) time.Duration {
	return budget + 20*time.Millisecond + 4*time.Duration(s.worst.Load())
}

// check fails the test if a decision with the default budget took too long.
func (s *stall) check(t testing.TB, what string, took time.Duration) {
	t.Helper()
	if limit := s.limit(ratelimit.DefaultTimeout); took > limit {
		t.Errorf("%s took %v; want %v at most (the machine stalled for up to %v)", what, took, limit, time.Duration(s.worst.Load()))
	}
}
