package gate

import (
	"context"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A Held is what a served call holds until its last user is done. The zero Held holds nothing.
// Its methods may be called concurrently.
type Held struct {
	hold   *ratelimit.Hold
	faults *faults
	users  atomic.Int32
}

// Begin makes h hold what the call does, with one user. It is called once.
func (g *Gate[C]) Begin(h *Held, hold *ratelimit.Hold) {
	h.hold, h.faults = hold, g.faults
	h.users.Store(1)
}

// Keep adds a user. It returns false if nothing is held any more.
func (h *Held) Keep() bool {
	for {
		n := h.users.Load()
		if n == 0 {
			return false
		}
		if h.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Done removes a user, and ends the hold after the last one.
func (h *Held) Done(ctx context.Context) {
	if h.users.Add(-1) > 0 {
		return
	}
	var err error
	if r := h.hold.Result(); store.Try(func() { err = h.hold.Settle(ctx, r.Cost()) }) != nil {
		err = &store.Error{Class: store.ClassPanic}
	}
	if err != nil {
		h.faults.report(ctx, store.ErrorClass(err), "what the request holds ends by itself")
	}
}
