package redisstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A call is one decision on its way. It flies alone or with others, and has its own
// outcome and deadline.
type call struct {
	request  ratelimit.Request
	known    ratelimit.Knowledge         // what request.Known points to, if anything
	tag      string                      // what the names of the key's buckets begin with
	buckets  [ratelimit.MaxLimits]string // these names
	started  time.Time
	deadline time.Time

	state    atomic.Int32
	queued   bool // its caller waits, instead of flying it
	decision ratelimit.Decision
	err      error // errPanic until there is an outcome

	home   *desk         // where it goes afterwards
	landed chan struct{} // holds one: nobody who lands a call waits for its caller
	timer  *time.Timer   // runs while the caller waits
}

// The states of a call. Whoever gives up on a waiting call takes it off the queue:
// nothing is charged. Once it flies, it may be.
const (
	waiting int32 = iota
	flying
	givenUp
)

// A desk makes calls, and uses those again whose callers have their answers. A call
// that was given up is not among them: a flight may still know it. The zero value is
// ready for use.
type desk struct{ idle sync.Pool }

// call returns a call for a request.
func (k *desk) call(ctx context.Context, r ratelimit.Request, tag string) *call {
	c, ok := k.idle.Get().(*call)
	if !ok {
		c = &call{home: k, landed: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		c.timer.Stop()
	}
	c.request, c.tag = r, tag
	if r.Known != nil {
		c.known = *r.Known // the caller may be gone, and its knowledge changed, before the flight leaves
		c.request.Known = &c.known
	}
	for i := range r.Policy.Len() {
		c.buckets[i] = bucket(tag, r.Policy.Bucket(i))
	}
	c.started = time.Now()
	c.deadline = c.started.Add(budget(r.Timeout))
	if end, ok := ctx.Deadline(); ok && end.Before(c.deadline) {
		c.deadline = end
	}
	c.err = errPanic
	return c
}

// budget returns how long a decision may take.
func budget(timeout time.Duration) time.Duration {
	if timeout <= 0 {
		return ratelimit.DefaultTimeout
	}
	return timeout
}

// outcome returns the answer of a call that has landed, which is over with that.
func (c *call) outcome() (ratelimit.Decision, error) {
	d, err := c.decision, c.err
	*c = call{home: c.home, landed: c.landed, timer: c.timer}
	c.home.idle.Put(c)
	return d, err
}

// board takes the call along, unless its caller has given up.
func (c *call) board() bool { return c.state.CompareAndSwap(waiting, flying) }

// decide and fail set the outcome, before the call lands.
func (c *call) decide(d ratelimit.Decision) { c.decision, c.err = d, nil }
func (c *call) fail(err error)              { c.decision, c.err = ratelimit.Decision{}, err }

// land tells a waiting caller that the outcome is there. From then on the call is
// the caller's.
func (c *call) land() {
	if c.queued {
		c.landed <- struct{}{}
	}
}

// errQueued is the cause of a timeout before the call was sent.
var errQueued = errors.New("redisstore: nothing was sent")

// wait waits for the outcome, until the deadline or the end of ctx.
func (c *call) wait(ctx context.Context) (ratelimit.Decision, error) {
	c.timer.Reset(c.deadline.Sub(c.started))
	var err error
	select {
	case <-c.landed:
		if c.timer.Stop() {
			return c.outcome()
		}
		return c.decision, c.err // with a timer that has gone off it is of no more use
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.timer.C:
		err = context.DeadlineExceeded
	}
	c.timer.Stop()
	if c.state.CompareAndSwap(waiting, givenUp) {
		return ratelimit.Decision{}, failure(fmt.Errorf("%w: %w", errQueued, err))
	}
	select {
	case <-c.landed: // both came at once: the answer is of more use
		return c.decision, c.err
	default:
		return ratelimit.Decision{}, failure(err)
	}
}
