package storetest

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A lent is a hold that a probe has made.
type lent struct {
	key      string
	limits   []store.Limit
	names    [store.MaxLimits]int64
	n        int
	decision store.Decision
}

// leasing asks for a lease beside a cost. What it got is n.
func (p *probe) leasing(key string, limits []store.Limit, cost, lease int) lent {
	hold := store.Hold{Spend: true, Lease: lease, Leased: 99}
	h := lent{key: key, limits: limits}
	h.decision = p.request(store.Request{Key: key, Limits: limits, Cost: cost, Hold: &hold})
	h.names, h.n = hold.Names, hold.Leased
	return h
}

// lease asks for a lease and fails unless the call is admitted and gets as much as wanted.
func (p *probe) lease(when, key string, limits []store.Limit, cost, lease, want int) lent {
	h := p.leasing(key, limits, cost, lease)
	if !h.decision.Allowed || h.n != want {
		p.fail("%s, a call of cost %d got %d of a lease of %d, allowed=%v, with the debts %v and %v held; want %d",
			when, cost, h.n, lease, h.decision.Allowed, debts(limits, h.decision), h.decision.Held, want)
	}
	return h
}

// settlement returns the settlement of n held tokens when actual were spent.
func (h lent) settlement(n, actual int) store.Settlement {
	return store.Settlement{Key: h.key, Limits: h.limits, Names: h.names, Held: n, Actual: actual}
}

// holding asks for a hold.
func (p *probe) holding(key string, limits []store.Limit, n int, spend bool) lent {
	h := lent{key: key, limits: limits, n: n}
	hold := store.Hold{Spend: spend}
	h.decision = p.request(store.Request{Key: key, Limits: limits, Cost: n, Hold: &hold})
	h.names = hold.Names
	return h
}

// hold makes a hold and fails if it is denied.
func (p *probe) hold(key string, limits []store.Limit, n int) lent {
	h := p.holding(key, limits, n, false)
	if !h.decision.Allowed {
		p.fail("a hold of %d was denied with the debts %v and %v held; it must be admitted", n, debts(limits, h.decision), h.decision.Held)
	}
	return h
}

// denyHold asks for a hold and fails unless it is denied.
func (p *probe) denyHold(key string, limits []store.Limit, n int) store.Decision {
	h := p.holding(key, limits, n, false)
	if h.decision.Allowed {
		p.fail("a hold of %d was admitted, with the debts %v and %v held; it must be denied", n, debts(limits, h.decision), h.decision.Held)
	}
	return h.decision
}

// held makes a call of cost 0 and fails unless as much is held as wanted.
func (p *probe) held(when, key string, limits []store.Limit, want ...int) {
	d := p.take(key, limits, 0)
	for i, w := range want {
		if d.Held[i] != w {
			p.fail("%s, %d tokens of limit %s are held; want %d", when, d.Held[i], limits[i], w)
		}
	}
}

// settling sends settlements.
func (p *probe) settling(all ...store.Settlement) []store.Settlement {
	holder, ok := p.store.(store.Holder)
	if !ok {
		p.fail("the store is no Holder")
	}
	ctx, cancel := context.WithTimeout(p.ctx, answerTime)
	defer cancel()
	holder.Settle(ctx, all)
	return all
}

// settle ends a hold when actual tokens were spent.
func (p *probe) settle(h lent, actual int) store.Settlement {
	return p.settleOne(h.settlement(h.n, actual))
}

// renew renews a hold.
func (p *probe) renew(h *lent) store.Settlement {
	s := p.settleOne(store.Settlement{Key: h.key, Limits: h.limits, Names: h.names, Held: h.n, Actual: h.n, Renew: true})
	h.names = s.Names
	return s
}

// charge charges a key for what it never held.
func (p *probe) charge(key string, limits []store.Limit, n int) store.Settlement {
	return p.settleOne(store.Settlement{Key: key, Limits: limits, Actual: n})
}

func (p *probe) settleOne(s store.Settlement) store.Settlement {
	s = p.settling(s)[0]
	if s.Err != nil {
		p.fail("Settle returned an error: %v", s.Err)
	}
	if now := p.take(s.Key, s.Limits, 0).Now; s.Now != now {
		p.fail("Settlement.Now is %d; the clock stands at %d", s.Now, now)
	}
	return s
}

// settled fails unless the debts after a settlement are as wanted, in its result and in the
// store, and no token was lost.
func (p *probe) settled(when string, s store.Settlement, want ...gcra.Debt) {
	p.settledWith(when, s, 0, want...)
}

// settledWith is settled for a settlement that loses tokens.
func (p *probe) settledWith(when string, s store.Settlement, lost int, want ...gcra.Debt) {
	p.debts("in a settlement "+when, s.Limits, store.Decision{Debts: s.Debts}, want...)
	p.state("after a settlement "+when, s.Key, s.Limits, want...)
	if s.Lost != lost {
		p.fail("in a settlement %s, Lost is %d; want %d", when, s.Lost, lost)
	}
}
