package redisstore

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A call is one decision on its way to Redis and back. It has a deadline and an outcome
// of its own, whether it is sent alone or with others.
type call struct {
	request  store.Request
	known    store.Knowledge         // a copy of *request.Known
	tag      string                  // begins the names of the key's buckets
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
func newCall(ctx context.Context, pool *sync.Pool, r store.Request, tag string) *call {
	c, ok := pool.Get().(*call)
	if !ok {
		c = &call{pool: pool, done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		c.timer.Stop()
	}
	c.request, c.tag = r, tag
	if r.Known != nil {
		c.known = *r.Known // the caller may give up and change it before the call is sent
		c.request.Known = &c.known
	}
	for i := range r.Limits {
		c.buckets[i] = bucket(tag, &r.Limits[i])
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

// decide and fail set the outcome.
func (c *call) decide(d store.Decision) { c.decision, c.err = d, nil }
func (c *call) fail(err error)          { c.decision, c.err = store.Decision{}, err }

// finish hands the outcome to a waiting caller. The sender must not use the call any more.
func (c *call) finish() {
	if c.queued {
		c.done <- struct{}{}
	}
}

// outcome returns the outcome of a finished call, and the call to its pool.
func (c *call) outcome() (store.Decision, error) {
	d, err := c.decision, c.err
	*c = call{pool: c.pool, done: c.done, timer: c.timer}
	c.pool.Put(c)
	return d, err
}

// wait returns the outcome of a queued call, or an error at its deadline or the end of ctx.
func (c *call) wait(ctx context.Context) (store.Decision, error) {
	c.timer.Reset(c.deadline.Sub(c.started))
	var err error
	select {
	case <-c.done:
		if c.timer.Stop() {
			return c.outcome()
		}
		return c.decision, c.err // its timer has fired: the call is not used again
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.timer.C:
		err = context.DeadlineExceeded
	}
	c.timer.Stop()
	if c.state.CompareAndSwap(callWaiting, callGivenUp) {
		return store.Decision{}, failure(fmt.Errorf("%w: %w", errQueued, err))
	}
	select {
	case <-c.done: // both came at once, and the outcome is worth more
		return c.decision, c.err
	default:
		return store.Decision{}, failure(err)
	}
}
