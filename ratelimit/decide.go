package ratelimit

import (
	"context"

	"github.com/keyrate/keyrate/store"
)

// An ask is what a caller wants to know, and what it takes.
type ask struct {
	cost   int         // what is answered for
	charge int         // what is taken: the cost, or 0 if it only asks
	least  int         // see store.Request
	hold   *store.Hold // see store.Request
	home   string      // of the key
	homeTo *string     // where the home is noted, if not nil
	waits  bool        // the caller waits after a denial
}

// plain reports whether a takes the cost and nothing else, of a key without a home.
func (a *ask) plain() bool {
	return a.charge == a.cost && a.least == 0 && a.hold == nil && a.home == ""
}

// decide asks the store.
func (l *Limiter) decide(ctx context.Context, key string, a *ask, r *Result) error {
	p := l.policy
	if p == nil {
		var err error
		if p, err = l.policyFor(ctx, key); err != nil {
			return l.fault(r, err, l.shadow)
		}
	}
	return l.decideBy(ctx, p, key, a, r)
}

// decideBy is decide by a policy that is known.
func (l *Limiter) decideBy(ctx context.Context, p *Policy, key string, a *ask, r *Result) error {
	shadow := l.shadow
	if a.home = p.home; a.homeTo != nil {
		*a.homeTo = p.home
	}
	for p.block != nil {
		if wait := p.block.wait(); wait > 0 {
			r.stop(p.block, wait, a)
			return nil
		}
		p = p.block.then
	}
	if l.holder == nil && a.hold != nil && !a.hold.Spend && p != Unlimited {
		return l.fault(r, needsHolderTo("to hold tokens"), shadow)
	}
	if p.phases != nil {
		ph := p.phases.of(key, p.home).now()
		p, shadow = ph.policy, ph.shadow || shadow
	}
	if a.cost < 0 {
		return l.fault(r, &LimitError{Field: "n", Value: a.cost, Want: "must be at least 0"}, shadow)
	}
	if p.loans && a.hold == nil && a.charge > 0 {
		return l.fault(r, p.needsHold(), shadow)
	}
	if p.locking && !shadow {
		if b := l.lockouts.of(key, p); b != nil {
			r.stop(b, b.wait(), a)
			return nil
		}
	}
	r.policy, r.cost = p, a.cost
	if p == Unlimited {
		r.Allowed, r.shadow = true, shadow
		return nil
	}
	if shadow || p.beside != nil {
		if err := l.watch(ctx, key, a, shadow, r); err != nil {
			return err
		}
	} else if err := l.take(ctx, key, a, r); err != nil {
		return l.fault(r, err, false)
	}
	if p.locking {
		l.lockOut(key, p, a, r)
	}
	return nil
}

// takeOne is take for a policy of one limit, through the store's fast path.
func (l *Limiter) takeOne(p *Policy, key string, n int, r *Result) {
	debt, held, allowed := l.single.TakeOne(key, &p.limits[0], n)
	r.Allowed, r.denied, r.source = allowed, !allowed, store.FromStore
	r.policy, r.cost, r.states[0] = p, n, stateFrom(debt, held)
	if held > 0 && !allowed {
		l.hintAt(r)
	}
}

// takeLeased is take for a policy of one limit, if leased tokens cover the cost.
func (l *Limiter) takeLeased(p *Policy, key string, n int, r *Result) bool {
	debt, held, ok := l.leased.TakeLeased(key, p.limits, n)
	if ok {
		r.Allowed, r.source = true, store.FromLease
		r.policy, r.cost, r.states[0] = p, n, stateFrom(debt, held)
	}
	return ok
}

// take asks the store by the policy of r.
func (l *Limiter) take(ctx context.Context, key string, a *ask, r *Result) error {
	p := r.policy
	if len(p.limits) == 1 && a.plain() {
		switch {
		case l.single != nil:
			l.takeOne(p, key, a.cost, r)
			return nil
		case l.leased != nil && l.takeLeased(p, key, a.cost, r):
			return nil
		}
	}
	d, err := l.store.Take(ctx, store.Request{Home: a.home, Key: key, Limits: p.limits, Cost: a.charge, Least: a.least, Hold: a.hold, Timeout: l.timeout})
	if err != nil {
		return store.NewError(err, key)
	}
	if a.charge < a.cost && d.Allowed {
		d.Allowed = p.fits(&d, a.cost)
	}
	if a.least > 0 {
		if r.cost = a.least; d.Allowed {
			r.cost = d.Granted
		}
	}
	r.Allowed, r.denied, r.source = d.Allowed, !d.Allowed, d.Source
	if d.Source == store.NoSource {
		r.source = store.FromStore
	}
	r.wait = d.RetryAfter
	held := 0
	for i := range p.limits {
		r.states[i] = stateFrom(d.Debts[i], d.Held[i])
		held |= d.Held[i]
	}
	if held > 0 && r.denied {
		l.hintAt(r)
	}
	if len(p.limits) > 1 {
		r.deciding = r.decides()
	}
	return nil
}

// hintAt makes the wait of a denial beside held tokens depend on Config.RetryHint. If a store
// has returned a wait as well, that is shorter, the longest wait of the limits counts for all.
func (l *Limiter) hintAt(r *Result) {
	least := r.wait
	if least >= l.hint { // and so at least what the hint would make of the debts
		return
	}
	r.wait, r.hinted = l.hint, true
	if least == 0 {
		return
	}
	for i := range r.policy.limits {
		least = max(least, r.states[i].retryAfter(&r.policy.limits[i], r.cost, l.hint))
	}
	r.wait, r.hinted = least, false
}

// fault is the answer when nothing could be decided. In shadow mode the call is served all
// the same.
func (l *Limiter) fault(r *Result, err error, shadow bool) error {
	*r = Result{Allowed: shadow, shadow: shadow}
	return err
}

// decideInTime is decide within Config.Timeout.
func (l *Limiter) decideInTime(ctx context.Context, key string, a *ask, r *Result) error {
	if !l.selfTimed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	return l.decide(ctx, key, a, r)
}

// decideObserved is decideInTime for a limiter that may count or be observed.
func (l *Limiter) decideObserved(ctx context.Context, key string, a *ask, r *Result) error {
	if l.plain {
		return l.decide(ctx, key, a, r)
	}
	return l.decideWatched(ctx, l.watched(), key, a, r)
}
