// Package clock has the two clocks that the mirror compares: this node's and, as its answers
// show it, that of the shared store.
package clock

import (
	"sync"
	"sync/atomic"
	"time"
)

// A Node is this node's clock. It starts with 1, is never set, and has no relation to
// any other clock.
type Node struct{ start time.Time }

// Start returns a clock that starts now.
func Start() Node { return Node{time.Now()} }

// Now returns the time in nanoseconds.
//
// Debts are in whole microseconds, this clock is not: the difference of two readings cut to
// microseconds can be one less than the time that passed. A debt aged by it would be larger
// than the shared store's.
func (n Node) Now() int64 { return int64(time.Since(n.start)) + 1 }

// A Shared is what answers have shown of the clock of one part of the shared store. It
// dates debts that no answer dates. The zero value knows nothing.
type Shared struct {
	// What the clock showed when this node's started, in microseconds: at least and at most,
	// by all answers together. most is 0 before the first answer.
	least, most atomic.Int64

	odd atomic.Int32 // answers in a row that contradict these bounds

	mu    sync.Mutex
	setAt time.Time // when the last step was noticed
	step  time.Duration
}

// A clock that jumps by less than minStep does not count as set: the jump may be a slow
// answer, and does little harm. minOdd answers in a row must show a jump: while the keys of
// a Cluster move, some answers come from another server.
const (
	minStep = time.Second
	minOdd  = 3
)

// At returns what the clock showed when this node's showed now, in microseconds: at least
// and at most. It returns 0, 0 if nothing is known.
func (c *Shared) At(now int64) (least, most int64) {
	if most = c.most.Load(); most == 0 {
		return 0, 0
	}
	return c.least.Load() + now/1000, most + (now+999)/1000
}

// Observe takes in that the clock showed the instant shared between asked and answered on
// this node's clock. It returns by how much the clock was set since the last answer, or 0.
// A clock that runs slower or faster than this node's is followed and does not count as set.
func (c *Shared) Observe(shared, asked, answered int64) (step time.Duration) {
	least, most := shared-answered/1000-1, shared-asked/1000+1
	if least <= c.least.Load() && c.most.Load() <= most && c.most.Load() != 0 {
		if c.odd.Load() != 0 {
			c.odd.Store(0)
		}
		return 0 // the bounds are no tighter
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	oldLeast, oldMost := c.least.Load(), c.most.Load()
	switch {
	case oldMost == 0:
	case least > oldMost:
		step = time.Duration(least-oldMost) * time.Microsecond
	case most < oldLeast:
		step = time.Duration(most-oldLeast) * time.Microsecond
	default:
		least, most = max(least, oldLeast), min(most, oldMost)
	}
	if step.Abs() < minStep {
		step = 0
	} else if c.odd.Add(1) < minOdd {
		return 0
	}
	c.odd.Store(0)
	c.least.Store(least)
	c.most.Store(most)
	if step != 0 {
		c.setAt, c.step = time.Now(), step
	}
	return step
}

// LastStep returns when the clock was last set, and by how much: 0 if it never was.
func (c *Shared) LastStep() (at time.Time, by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.setAt, c.step
}
