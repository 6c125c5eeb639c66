package mirror

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A clock is what is known of the clock of one part of the shared store: by it those
// sights are dated that began with a call decided here. The zero value knows nothing.
type clock struct {
	// ahead is what it showed, or less, when this node's began, in microseconds; 0 if it
	// was never seen.
	ahead atomic.Int64

	mu   sync.Mutex
	at   time.Time // of the last step
	step time.Duration
}

// leastStep is what a clock must jump by to count as set: less may be a slow answer, and
// hardly matters.
const leastStep = time.Second

// saw takes in that the clock showed an instant between sent and came, and returns by
// how much it was set since it was last seen, if it was: mostly 0. A clock that runs
// slower or faster than this node's is followed, and was not set.
func (c *clock) saw(shared, sent, came int64) (step time.Duration) {
	last := c.ahead.Load()
	least, most := shared-came/1000-1, shared-sent/1000+1
	if last != 0 && least <= last && last <= most {
		return 0
	}
	if !c.ahead.CompareAndSwap(last, least) || last == 0 {
		return 0 // another answer tells
	}
	step = time.Duration(least-last) * time.Microsecond
	if least < last {
		step = time.Duration(most-last) * time.Microsecond
	}
	if step.Abs() < leastStep {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.step = time.Now(), step
	return step
}

// warnFor is how long Check tells of a clock that was set.
const warnFor = time.Hour

// warning returns what an operator should know of the clock of a part, or "".
func (c *clock) warning(called string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step == 0 || time.Since(c.at) > warnFor {
		return ""
	}
	return fmt.Sprintf("the clock of %s was set by %v at %s, or this process stood still", called, c.step.Round(time.Millisecond), c.at.UTC().Format(time.RFC3339))
}

// saw tells Config.OnStep of a clock that was set.
func (s *Store) saw(p *part, shared, sent, came int64) {
	step := p.clock.saw(shared, sent, came)
	if step == 0 || s.onStep == nil {
		return
	}
	defer func() {
		if recover() != nil {
			s.panics.Add(1)
		}
	}()
	s.onStep(p.name, step)
}

// watched is the shared store, of which each answer shows the clock of a part.
type watched struct {
	ratelimit.Store
	mirror *Store
	part   *part
}

func (w watched) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	sent := w.mirror.now()
	d, err := w.Store.Take(ctx, r)
	if err == nil {
		w.mirror.saw(w.part, d.Now, sent, w.mirror.now())
	}
	return d, err
}
