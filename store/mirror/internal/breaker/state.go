package breaker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// failuresToOpen is how many failures in a row open a breaker.
const failuresToOpen = 3

// A part that fails again within relapse after it came back must pass more probes in a row,
// twice as many each time up to maxProbes: or it would be down and back ten times a second.
const (
	relapse   = 5 * time.Second
	maxProbes = 4
)

// A state says whether a part of the shared store is asked. Failures in a row open it. Then
// an outage has one goroutine that probes the part and closes the state; while the state is
// closed there is none. The zero value is closed.
type state struct {
	// epoch counts the transitions and is odd while the state is open. A failure that began
	// in an earlier epoch does not count.
	epoch    atomic.Uint64
	failures atomic.Int64 // in a row

	mu     sync.Mutex
	since  time.Time // the last transition; zero if there was none
	class  string    // of the failure that opened it
	probes int       // in a row that close it
	ended  bool      // it opens no more
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine of the last outage has ended; nil if there was none
}

// An outage is what its goroutine needs.
type outage struct {
	ctx    context.Context //nolint:containedctx // ends with Close, not with a request
	prev   <-chan struct{} // done of the outage before; nil if there was none
	done   chan<- struct{}
	class  string
	began  time.Time
	probes int // in a row that end it
}

// current returns the epoch, and whether the state is open.
func (s *state) current() (epoch uint64, open bool) {
	epoch = s.epoch.Load()
	return epoch, epoch%2 == 1
}

// fail counts a failure of an attempt that began in an epoch. It returns the outage that
// begins with it, if one does.
func (s *state) fail(epoch uint64, class string) (o outage, began bool) {
	if s.epoch.Load() != epoch || s.failures.Add(1) < failuresToOpen {
		return o, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch.Load() != epoch || s.ended {
		return o, false
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	now := time.Now()
	s.probes = min(2*s.probes, maxProbes)
	if s.since.IsZero() || now.Sub(s.since) > relapse {
		s.probes = 1
	}
	o = outage{ctx: ctx, prev: s.done, done: done, class: class, began: now, probes: s.probes}
	s.cancel, s.done = cancel, done
	s.since, s.class = now, class
	s.epoch.Add(1)
	return o, true
}

// close ends an outage.
func (s *state) close() Transition {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	t := Transition{Class: s.class, At: now, Took: now.Sub(s.since)}
	s.cancel()
	s.since, s.class = now, ""
	s.failures.Store(0)
	s.epoch.Add(1)
	return t
}

// end keeps the state as it is from now on, and returns when no goroutine is left.
func (s *state) end() {
	s.mu.Lock()
	s.ended = true
	done := s.done
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Unlock()
	if done != nil {
		<-done
	}
}

// State reports whether the part is down, since when it is as it is, and the class of the
// failure that opened its breaker.
func (s *state) State() (down bool, since time.Time, class string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, down = s.current()
	return down, s.since, s.class
}
