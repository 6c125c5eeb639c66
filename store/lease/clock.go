package lease

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/internal/virtual"
	"github.com/keyrate/keyrate/store"
)

// mostStep is by how much wall and monotonic time may move against each other. A machine that was
// suspended shows it: its monotonic clock stood still, and that of the shared store did not.
const mostStep = 50 * time.Millisecond

// A clock is this node's. It starts with 1, counts nanoseconds, and is never set.
type clock struct {
	start   time.Time
	virtual virtual.Time // nil, but in a simulation

	ahead atomic.Int64 // of the wall clock, as it was when the leases were granted
	steps atomic.Int64 // how often it was not any more
	mu    sync.Mutex   // held while the leases are dropped
}

// begin starts the clock, for what stands in front of a store.
func (c *clock) begin(shared store.Store) {
	c.start = time.Now()
	if h, ok := shared.(virtual.Host); ok {
		c.virtual = h.Virtual()
	}
	now, wall := c.both()
	c.ahead.Store(wall - now)
}

// both returns the monotonic and the wall time.
func (c *clock) both() (now, wall int64) {
	if c.virtual != nil {
		return c.virtual.Now()
	}
	t := time.Now()
	return int64(t.Sub(c.start)) + 1, t.UnixNano()
}

// read returns the time, and whether wall and monotonic time have moved against each other.
func (c *clock) read() (now int64, stepped bool) {
	now, wall := c.both()
	by := wall - now - c.ahead.Load()
	return now, by > int64(mostStep) || by < -int64(mostStep)
}

// now returns the time. If the machine was suspended, it drops all leases first.
func (s *Store) now() int64 {
	now, stepped := s.clock.read()
	if stepped {
		s.stepped()
	}
	return now
}

// stepped drops all leases: it is not known how long this node stood still.
func (s *Store) stepped() {
	c := &s.clock
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, stepped := c.read(); !stepped { // another call was first
		return
	}
	c.steps.Add(1)
	s.table.each(func(e *entry) { e.drop() })
	now, wall := c.both()
	c.ahead.Store(wall - now)
}

// goes runs f on a goroutine.
func (c *clock) goes(f func()) {
	if c.virtual != nil {
		c.virtual.Go(f)
		return
	}
	go f()
}

// wake lets simulated callers go on that wait for a trip.
func (c *clock) wake(t *trip) {
	if c.virtual != nil {
		c.virtual.Wake(t)
	}
}
