package fleet

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyrate/keyrate/internal/virtual"
	"github.com/keyrate/keyrate/store"
)

// A client is how a node sees the shared store.
type client struct{ *Node }

var errNoAnswer = &store.Error{Class: store.ClassTimeout, Err: errors.New("fleet: no answer")}

// SelfTimed implements [store.SelfTimed].
func (c client) SelfTimed() {}

// Holds implements [store.Holder].
func (c client) Holds() bool { return true }

// Virtual implements [virtual.Host].
func (c client) Virtual() virtual.Time { return c.Node }

// Take implements [store.Store], over the network.
func (c client) Take(_ context.Context, r store.Request) (d store.Decision, err error) {
	var hold *store.Hold
	if r.Hold != nil {
		hold = new(*r.Hold)
	}
	caller := r.Hold
	r.Release = slices.Clone(r.Release)
	asked := r
	asked.Hold = hold
	k := c.Key(r.Key)
	if !c.trip(r.Timeout, func(first bool) {
		if !first { // the call once more: its answer is not seen
			again := store.Request{Home: r.Home, Key: r.Key, Limits: r.Limits, Cost: r.Cost}
			if r.Hold != nil {
				again.Hold = &store.Hold{Spend: true, Lease: r.Hold.Lease}
			}
			c.Server.Take(&again, c.now/1000)
			return
		}
		d = c.Server.Take(&asked, c.now/1000)
		if d.Allowed {
			k.spend(r.Cost, c.now)
		} else if k.left(r.Cost, c.now) {
			k.False++
		}
	}) {
		for i := range r.Release {
			r.Release[i].Err = errNoAnswer
		}
		return d, errNoAnswer
	}
	if hold != nil {
		*caller = *hold
	}
	return d, nil
}

// left reports whether all limits have room for n tokens.
func (k *Key) left(n int, now int64) bool {
	for _, i := range k.Spends {
		if i.Left(now) < int64(n) {
			return false
		}
	}
	return true
}

// Settle implements [store.Holder].
func (c client) Settle(_ context.Context, all []store.Settlement) {
	sent := slices.Clone(all)
	if c.trip(store.DefaultTimeout, func(first bool) {
		if first {
			c.Server.Settle(sent, c.now/1000)
		}
	}) {
		copy(all, sent)
		return
	}
	for i := range all {
		all[i].Err = errNoAnswer
	}
}

// Reset implements [store.Store].
func (c client) Reset(_ context.Context, r store.Request) error {
	if !c.trip(store.DefaultTimeout, func(bool) {
		c.Server.Reset(&r, c.now/1000)
		for _, i := range c.Key(r.Key).Spends {
			i.Reset()
		}
	}) {
		return errNoAnswer
	}
	return nil
}

// trip executes something at the server, and returns when the answer is there. It returns false if
// none comes within the timeout.
func (c client) trip(timeout time.Duration, execute func(first bool)) (answered bool) {
	n, w := c.Node, &waiter{routine: c.runs}
	half := func() int64 { return int64(n.RTT)/4 + n.Random.Int64N(int64(n.RTT)/2+1) }
	fails := func() bool { return n.Faults > 0 && n.Random.IntN(1000) < n.Faults }
	if !fails() {
		n.World.At(n.now+half(), func() {
			execute(true)
			if fails() {
				return
			}
			n.at(n.now+half(), func() {
				if !w.over {
					answered = true
					n.end(w)
				}
			})
		})
		if fails() {
			n.World.At(n.now+4*half(), func() { execute(false) })
		}
	}
	n.at(n.now+int64(timeout), func() { n.end(w) })
	n.World.wait()
	return answered
}

// A waiter is a routine that waits.
type waiter struct {
	*routine
	over bool
}

// end lets a routine go on, once.
func (n *Node) end(w *waiter) {
	if !w.over {
		w.over = true
		n.resume(w.routine)
	}
}

// Now implements [virtual.Time].
func (n *Node) Now() (monotonic, wall int64) { return n.now - n.stopped, n.now + n.wall }

// Go implements [virtual.Time].
func (n *Node) Go(f func()) { n.World.Go(f) }

// After implements [virtual.Time].
func (n *Node) After(d time.Duration, f func()) {
	n.at(n.now+int64(d), func() { n.World.Go(f) })
}

// Wait implements [virtual.Time].
func (n *Node) Wait(on any, timeout time.Duration) {
	w := &waiter{routine: n.runs}
	n.waiting[on] = append(n.waiting[on], w)
	n.at(n.now+int64(timeout), func() { n.end(w) })
	n.World.wait()
}

// Wake implements [virtual.Time].
func (n *Node) Wake(on any) {
	all := n.waiting[on]
	delete(n.waiting, on)
	for _, w := range all {
		n.at(n.now, func() { n.end(w) })
	}
}
