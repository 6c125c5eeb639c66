package breaker

import (
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A Transition says that a part of the shared store went down or came back: see
// mirror.Change.
type Transition struct {
	Down  bool
	Part  string
	Class string
	At    time.Time
	Took  time.Duration
}

// callbacks are the functions of the user. They may panic.
type callbacks struct {
	onTransition func(Transition)
	onStep       func(part string, by time.Duration) // may be nil
	panics       atomic.Int64                        // of both
}

// transition calls onTransition and waits for it. It runs on a goroutine of its own, which
// it may end.
func (c *callbacks) transition(t Transition) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.call(func() { c.onTransition(t) })
	}()
	<-done
}

// step calls onStep.
func (c *callbacks) step(part string, by time.Duration) {
	if c.onStep != nil {
		c.call(func() { c.onStep(part, by) })
	}
}

// call counts panics of f.
func (c *callbacks) call(f func()) {
	if store.Try(f) != nil {
		c.panics.Add(1)
	}
}
