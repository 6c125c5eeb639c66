package ratelimit

import (
	"context"
	"fmt"

	"github.com/keyrate/keyrate/store"
)

// A Hold is what one call holds until its price is known, or until it ends: tokens of the
// key's limits, and its places in limits on concurrent calls. Make one with [Limiter.Hold] or
// [Limiter.Enter], and end it with Settle, Release or Cancel. The first of them counts, the
// others do nothing; they are safe for concurrent use, and take at most Config.Timeout. They
// ignore that their context is canceled: a client that disconnects must not keep tokens.
//
// A Hold of a denied call and a nil *Hold hold nothing, and their methods do nothing. So
// defer h.Cancel(ctx) is right wherever a Hold was asked for.
//
// A Hold that is never ended pays for what it holds. While the program refers to it, it stays:
// the limiter renews it. If the program drops it, exits or calls [Limiter.Close], it ends and is
// charged within 2 seconds if it was never renewed, which happens after 0.3 seconds, and within
// 20 seconds otherwise.
//
// A limiter renews 2,048 holds in each round trip to the store. With trips of 20 ms it keeps
// 60,000 that are made at once, and 300,000 that last; what exceeds that may end in use.
type Hold struct {
	result  Result
	limiter *Limiter
	home    string
	key     string
	limits  []store.Limit // in whose buckets something is held, each under its name
	hold    store.Hold
	queued
}

// Hold decides a call whose price is not known yet, and holds n tokens, an estimate, if it is
// admitted: no other call gets them, but they are not charged yet. [Hold.Settle] charges the price.
//
//	h, err := limiter.Hold(ctx, key, 2000)
//	if err != nil {
//		return err
//	}
//	defer h.Cancel(ctx) // does nothing after Settle
//	if r := h.Result(); !r.Allowed {
//		return fmt.Errorf("retry after %v", r.RetryAfter())
//	}
//	used := call()
//	return h.Settle(ctx, used)
//
// A denial is a Hold whose Result is not Allowed. An error is a fault, as of
// [Limiter.AllowN]; the Hold is nil then, except in shadow mode, where its Result is Allowed.
// With n = 0, nothing is held. The store must be a [store.Holder].
func (l *Limiter) Hold(ctx context.Context, key string, n int) (*Hold, error) {
	h := &Hold{limiter: l, key: key}
	if l.shortHold && n > 0 {
		h.holdOne(l.policy, n)
		return h, nil
	}
	err := l.decideObserved(ctx, key, &ask{cost: n, charge: n, hold: &h.hold, homeTo: &h.home}, &h.result)
	if err != nil && !h.result.Allowed {
		return nil, err
	}
	h.begin()
	return h, err
}

// Enter decides a call that costs n tokens, as [Limiter.AllowN], and holds its places in
// limits on concurrent calls until [Hold.Release]. The tokens are spent at once and for good:
// whichever method ends the Hold, it frees the places alone.
//
//	r, h, err := limiter.Enter(ctx, key, 1)
//	defer h.Release(ctx)
//
// The Hold is nil if there is nothing to hold: the call was denied, there was an error, or the
// key has no limit on concurrent calls. Then Enter costs what AllowN costs.
func (l *Limiter) Enter(ctx context.Context, key string, n int) (r Result, h *Hold, err error) {
	if l.short && n >= 0 {
		l.takeOne(l.policy, key, n, &r)
		return r, nil, nil
	}
	if l.plain {
		h, err = l.enter(ctx, key, n, &r)
		return r, h, err
	}
	w := l.watched()
	if l.counted && !w.timed && n >= 0 {
		l.takeCounted(w.pick, key, n, &r)
		return r, nil, nil
	}
	w.begin()
	h, err = l.enter(ctx, key, n, &r)
	l.seen(ctx, w, key, &ask{cost: n, charge: n}, &r, err)
	return r, h, err
}

func (l *Limiter) enter(ctx context.Context, key string, n int, r *Result) (*Hold, error) {
	if l.shortHold && n > 0 { // of a limit on concurrent calls
		h := &Hold{limiter: l, key: key, hold: store.Hold{Spend: true}}
		h.holdOne(l.policy, n)
		if *r = h.result; r.denied {
			return nil, nil
		}
		return h, nil
	}
	if !l.selfTimed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	p := l.policy
	if p == nil {
		var err error
		if p, err = l.policyFor(ctx, key); err != nil {
			return nil, l.fault(r, err, l.shadow)
		}
	}
	if !p.loans {
		return nil, l.decideBy(ctx, p, key, &ask{cost: n, charge: n}, r)
	}
	h := &Hold{limiter: l, home: p.home, key: key, hold: store.Hold{Spend: true}}
	err := l.decideBy(ctx, p, key, &ask{cost: n, charge: n, hold: &h.hold}, &h.result)
	*r = h.result
	if h.begin(); h.limits == nil {
		return nil, err
	}
	return h, err
}

// Format prints the name of the type: the key in it may be a secret.
func (h *Hold) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*ratelimit.Hold")) }

// Result returns the decision about the call. That of a nil Hold denies.
func (h *Hold) Result() Result {
	if h == nil {
		return Result{}
	}
	return h.result
}

// Settle ends the hold and charges actual, the price of the call. What was held beyond it is
// free at once. More than was held is charged, too, though it may exceed the limit: later
// calls then wait until the debt has drained, up to a second capacity. An error means that
// the price may not have been charged; then what was held is, when its slot ends.
func (h *Hold) Settle(ctx context.Context, actual int) error {
	if actual < 0 {
		return &LimitError{Field: "actual", Value: actual, Want: "must be at least 0"}
	}
	return h.end(ctx, actual)
}

// Release ends the hold at the price that was held, the n of [Limiter.Hold].
func (h *Hold) Release(ctx context.Context) {
	if h != nil {
		_ = h.end(ctx, h.result.cost)
	}
}

// Cancel ends the hold and charges nothing.
func (h *Hold) Cancel(ctx context.Context) { _ = h.end(ctx, 0) }
