package redisstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A call is one decision or settlement on its way to Redis and back. It has a deadline and an
// outcome of its own, whether it is sent alone or with others.
type call struct {
	request  store.Request
	mode     int
	releases []*call // settlements that are sent with it, just before it
	held     int     // of a settlement
	actual   int
	lease    int                     // how many tokens it asks for
	leased   int                     // how many it has got
	names    [store.MaxLimits]int64  // of what is held: before a settlement, and after the call
	lost     int                     // what a settlement could not charge
	known    store.Knowledge         // a copy of *request.Known
	tag      string                  // begins the names of the buckets, and decides where they are
	buckets  [store.MaxLimits]string // these names
	started  time.Time
	deadline time.Time

	state    atomic.Int32
	queued   bool // the caller waits for the outcome and does not send the call itself
	decision store.Decision
	err      error // errPanic until there is an outcome

	pool  *sync.Pool    // takes the call back after its outcome
	done  chan struct{} // has room for one, so that the sender does not wait for the caller
	timer *time.Timer   // runs while the caller waits
}

// The states of a call. A caller that gives up a waiting call prevents that it is sent:
// nothing is charged. A call that was sent may be charged.
const (
	callWaiting int32 = iota
	callSent
	callGivenUp
)

// newCall returns a call for a request. It takes one from pool, where there is one. A call
// that was given up never gets there: its sender may still hold it.
func newCall(ctx context.Context, pool *sync.Pool, r store.Request, o owner) *call {
	c, ok := pool.Get().(*call)
	if !ok {
		c = &call{pool: pool, done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		c.timer.Stop()
	}
	c.request, c.tag, c.mode = r, o.slot(), modeOf(&r)
	if r.Hold != nil {
		c.lease = r.Hold.Lease
	}
	c.request.Hold, c.request.Release = nil, nil // the caller may give up, and reuse them
	if r.Known != nil {
		c.known = *r.Known // the caller may give up and change it before the call is sent
		c.request.Known = &c.known
	}
	for i := range r.Limits {
		c.buckets[i] = o.bucket(&r.Limits[i])
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
		return store.DefaultTimeout
	}
	return timeout
}

// claim reports whether the call may be sent: its caller has not given up. Afterwards it
// counts as sent.
func (c *call) claim() bool { return c.state.CompareAndSwap(callWaiting, callSent) }

// kind returns what the call may have in common with others.
func (c *call) kind() kind { return kind{c.request.Limits, c.request.Cost, c.request.Least, c.mode} }

// fail sets the outcome, and that of its releases.
func (c *call) fail(err error) {
	c.decision, c.leased, c.err = store.Decision{}, 0, err
	for _, r := range c.releases {
		r.fail(err)
	}
}

// finish hands the outcome to a waiting caller. The sender must not use the call any more.
func (c *call) finish() {
	if c.queued {
		c.done <- struct{}{}
	}
}

// An outcome is what became of a call.
type outcome struct {
	store.Decision
	names    [store.MaxLimits]int64
	leased   int
	lost     int
	released []outcome // of the releases; nil if there is an error, which is theirs as well
	err      error
}

// result returns the outcome of a finished call, and its releases to their pool.
func (c *call) result() outcome {
	o := outcome{Decision: c.decision, names: c.names, leased: c.leased, lost: c.lost, err: c.err}
	for _, r := range c.releases {
		if c.err == nil {
			o.released = append(o.released, r.outcome())
		}
	}
	return o
}

// outcome returns the outcome of a finished call, and the call to its pool.
func (c *call) outcome() outcome {
	o := c.result()
	*c = call{pool: c.pool, done: c.done, timer: c.timer}
	c.pool.Put(c)
	return o
}

// wait returns the outcome of a queued call, or an error at its deadline or the end of ctx.
func (c *call) wait(ctx context.Context) outcome {
	c.timer.Reset(time.Until(c.deadline))
	var err error
	select {
	case <-c.done:
		if c.timer.Stop() {
			return c.outcome()
		}
		return c.result() // its timer has fired: the call is not used again
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.timer.C:
		err = context.DeadlineExceeded
	}
	c.timer.Stop()
	if c.state.CompareAndSwap(callWaiting, callGivenUp) {
		return outcome{err: failure(fmt.Errorf("%w: %w", errQueued, err))}
	}
	select {
	case <-c.done: // both came at once, and the outcome is worth more
		return c.result()
	default:
		return outcome{err: failure(err)}
	}
}
