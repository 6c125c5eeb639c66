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
	// What it showed when this node's began, in microseconds: at least and at most, as all
	// answers together tell. most is 0 while none did.
	least, most atomic.Int64

	odd atomic.Int32 // answers in a row that told of another clock

	mu   sync.Mutex
	set  time.Time // when it was last seen to have been set
	step time.Duration
}

// leastStep is what a clock must jump by to count as set: less may be a slow answer, and
// hardly matters.
const leastStep = time.Second

// leastOdd is how many answers in a row must tell of another clock: some may come from
// another server, while the keys of a Cluster move.
const leastOdd = 3

// at returns what the clock showed at an instant of this node's, at least and at most; 0
// if that is not known.
func (c *clock) at(now int64) (least, most int64) {
	if most = c.most.Load(); most == 0 {
		return 0, 0
	}
	return c.least.Load() + now/1000, most + (now+999)/1000
}

// saw takes in that the clock showed an instant between sent and came, and returns by
// how much it was set since it was last seen, if it was: mostly 0. A clock that runs
// slower or faster than this node's is followed, and was not set.
func (c *clock) saw(shared, sent, came int64) (step time.Duration) {
	least, most := shared-came/1000-1, shared-sent/1000+1
	if least <= c.least.Load() && c.most.Load() <= most && c.most.Load() != 0 {
		if c.odd.Load() != 0 {
			c.odd.Store(0)
		}
		return 0 // it tells nothing new
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	was, atMost := c.least.Load(), c.most.Load()
	switch {
	case atMost == 0:
	case least > atMost:
		step = time.Duration(least-atMost) * time.Microsecond
	case most < was:
		step = time.Duration(most-was) * time.Microsecond
	default:
		least, most = max(least, was), min(most, atMost)
	}
	if step.Abs() < leastStep {
		step = 0
	} else if c.odd.Add(1) < leastOdd {
		return 0
	}
	c.odd.Store(0)
	c.least.Store(least)
	c.most.Store(most)
	if step != 0 {
		c.set, c.step = time.Now(), step
	}
	return step
}

// warnFor is how long Check tells of a clock that was set.
const warnFor = time.Hour

// warning returns what an operator should know of the clock of a part, or "".
func (c *clock) warning(called string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.step == 0 || time.Since(c.set) > warnFor {
		return ""
	}
	return fmt.Sprintf("the clock of %s was set by %v at %s, or this process stood still", called, c.step.Round(time.Millisecond), c.set.UTC().Format(time.RFC3339))
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
