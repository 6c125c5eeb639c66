package gate

import (
	"context"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A Held is what a served call holds until its last user is done: places, and an estimate of
// its price if the Gate is Priced. Begin makes one. Its methods may be called concurrently.
type Held struct {
	hold   *ratelimit.Hold
	faults *faults
	priced bool
	users  atomic.Int32
	price  atomic.Int64 // that Settle was given, or one of these:
	usual  int          // the price if Settle is not called
}

const (
	unsettled = -1
	ended     = -2
)

// Begin makes h hold what a call of that cost does, with one user. It is called once.
func (g *Gate[C]) Begin(h *Held, hold *ratelimit.Hold, cost int) {
	h.hold, h.faults, h.priced, h.usual = hold, g.faults, g.config.Priced, cost
	h.price.Store(unsettled)
	h.users.Store(1)
}

// Priced reports whether the call has a price to settle.
func (h *Held) Priced() bool { return h.priced }

// Settle sets the price of the call. It reports whether it did: only the first call counts,
// and none after the last user is done. A negative price is a fault, and does not count.
func (h *Held) Settle(ctx context.Context, n int) bool {
	if n < 0 {
		h.faults.report(ctx, FaultNegativePrice, "ignored")
		return false
	}
	return h.price.CompareAndSwap(unsettled, int64(n))
}

// SetUsual sets the price if Settle is not called, until which it is the estimate. Call it
// before the first user is done.
func (h *Held) SetUsual(n int) { h.usual = n }

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

// Done removes a user. After the last one, it ends the hold and charges the price.
func (h *Held) Done(ctx context.Context) {
	if h.users.Add(-1) > 0 {
		return
	}
	price := h.price.Swap(ended)
	if price == unsettled {
		price = int64(h.usual)
	}
	var err error
	if store.Try(func() { err = h.hold.Settle(ctx, int(price)) }) != nil {
		err = &store.Error{Class: store.ClassPanic}
	}
	if err != nil {
		h.faults.report(ctx, store.ErrorClass(err), "the store ends by itself what the request held, and charges its estimate")
	}
}
