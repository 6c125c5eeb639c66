package ratelimit

import (
	"context"
	"sync"

	"github.com/keyrate/keyrate/store"
)

// begin notes what is held after the decision.
func (h *Hold) begin() {
	p := h.result.policy
	if p == nil || p == Unlimited || h.result.denied || h.result.cost == 0 {
		return
	}
	switch {
	case p.beside != nil:
		h.limits = p.heldOf(&h.hold)
	case !h.hold.Spend || p.loans && p.onlyLoans == nil:
		h.limits = p.limits
	case p.loans:
		h.limits = p.onlyLoans
	}
	pack(&h.hold.Names)
	if len(h.limits) == 0 {
		h.limits = nil
		return
	}
	h.limiter.renewals.add(h)
}

// holdOne decides by a policy of one limit, through the store's fast path.
func (h *Hold) holdOne(p *Policy, n int) {
	r := &h.result
	name, debt, held, allowed := h.limiter.held.HoldOne(h.key, &p.limits[0], n)
	r.Allowed, r.denied, r.source = allowed, !allowed, store.FromStore
	r.policy, r.cost, r.states[0] = p, n, stateFrom(debt, held)
	if !allowed {
		h.limiter.hintAt(r)
		return
	}
	h.hold.Names[0], h.limits = name, p.limits
	h.limiter.renewals.add(h)
}

// heldOf returns those of the limits, and of the limits beside, in whose buckets something is
// held.
func (p *Policy) heldOf(h *store.Hold) (limits []store.Limit) {
	for i := range p.limits {
		if h.Names[i] != 0 {
			limits = append(limits, p.limits[i])
		}
	}
	for i := range p.beside {
		if h.Names[len(p.limits)+i] != 0 {
			limits = append(limits, p.beside[i].limits[0])
		}
	}
	return limits
}

// pack moves the names to the front.
func pack(names *[store.MaxLimits]int64) {
	n := 0
	for i, name := range names {
		names[i] = 0
		if name != 0 {
			names[n] = name
			n++
		}
	}
}

// end settles the hold, if this is the first call to do so.
func (h *Hold) end(ctx context.Context, actual int) error {
	if h == nil || h.limits == nil {
		return nil
	}
	flight, first := h.limiter.renewals.remove(h)
	if !first {
		return nil
	}
	l := h.limiter
	if h.hold.Spend {
		actual = 0
	}
	if l.single != nil { // in memory: it heeds no context, and keeps nothing
		if flight != nil {
			<-flight
		}
		if l.held != nil && len(h.limits) == 1 && h.home == "" {
			lost := l.held.SettleOne(h.key, &h.limits[0], h.names()[0], h.result.cost, actual)
			h.charged(actual - lost)
			return nil
		}
		buffer, _ := settlements.Get().(*[1]store.Settlement)
		err := h.settle(context.Background(), buffer, actual)
		buffer[0] = store.Settlement{}
		settlements.Put(buffer)
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.timeout)
	defer cancel()
	if flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return store.NewError(ctx.Err(), h.key)
		}
	}
	return h.settle(ctx, new([1]store.Settlement), actual)
}

// settlements are for stores in memory, in which they are the price of a hold otherwise.
var settlements = sync.Pool{New: func() any { return new([1]store.Settlement) }}

func (h *Hold) settle(ctx context.Context, buffer *[1]store.Settlement, actual int) error {
	s := &buffer[0]
	s.Home, s.Key, s.Limits, s.Names, s.Held, s.Actual = h.home, h.key, h.limits, h.names(), h.result.cost, actual
	h.limiter.holder.Settle(ctx, buffer[:])
	if s.Err != nil {
		return store.NewError(s.Err, h.key)
	}
	h.charged(actual - s.Lost)
	return nil
}

// charged counts tokens that the end of the hold was charged.
func (h *Hold) charged(n int) {
	if l := h.limiter; l.counts != nil && n > 0 {
		l.counts.Charged(h.result.policy.names, n)
	}
}
