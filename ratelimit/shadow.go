package ratelimit

import (
	"context"
	"math"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
)

// Shadow reports whether l is in shadow mode: see Config.Shadow. A caller that denies calls
// without a decision, such as those without a key, must not do so in shadow mode.
func (l *Limiter) Shadow() bool { return l.shadow }

// phases are how a policy with shadow limits is decided, one after another: each date
// from which a limit is enforced begins a new one. If the clock is set back, the phase
// stays.
type phases struct {
	all     *Policy
	current atomic.Pointer[phase]

	rollOut bool                                         // some limits have EnforceFor
	chosen  [1 << store.MaxLimits]atomic.Pointer[phases] // of the keys for which some limits are enforced, a bit for each
}

// A phase is how such a policy is decided for some time.
type phase struct {
	until  int64   // when the next phase begins, in seconds since 1970
	policy *Policy // the limits that are enforced; if there are none, all of them
	shadow bool    // none are
}

// now returns the phase of this moment.
func (ps *phases) now() *phase {
	if ph := ps.current.Load(); ph != nil && ph.until == math.MaxInt64 {
		return ph
	}
	return ps.nowAt(time.Now().Unix())
}

// nowAt is now at a given time. A goroutine that read the clock before others did uses
// their phase, and does not restore an earlier one.
func (ps *phases) nowAt(now int64) *phase {
	for {
		ph := ps.current.Load()
		if ph != nil && now < ph.until {
			return ph
		}
		next := ps.at(now)
		if ps.current.CompareAndSwap(ph, next) {
			return next
		}
	}
}

// at returns the phase that holds at an instant.
func (ps *phases) at(now int64) *phase {
	ph := &phase{until: math.MaxInt64}
	var enforced []Limit
	var beside []*Policy
	for _, l := range ps.all.written {
		if l.Shadow && (l.EnforceFrom == 0 || l.EnforceFrom > now) {
			beside = append(beside, newPolicy([]Limit{l}))
			if l.EnforceFrom != 0 {
				ph.until = min(ph.until, l.EnforceFrom)
			}
			continue
		}
		l.Shadow, l.EnforceFrom, l.EnforceFor = false, 0, 0
		enforced = append(enforced, l)
	}
	if len(enforced) == 0 {
		ph.policy, ph.shadow = ps.all, true
		return ph
	}
	ph.policy = newPolicy(enforced)
	ph.policy.beside = beside
	return ph
}

// watch is take where something is not enforced. In shadow that is everything, and the
// call is admitted. A call that is admitted is then decided by each limit that is watched
// beside the enforced ones, on its own and within what is left of the time.
func (l *Limiter) watch(ctx context.Context, key string, a *ask, shadow bool, r *Result) error {
	var start time.Time
	if r.policy.beside != nil {
		start = time.Now()
	}
	if err := l.take(ctx, key, a, r); err != nil {
		return l.fault(r, err, shadow)
	}
	if a.least > 0 {
		granted := *a
		a, granted.charge = &granted, r.cost
	}
	if !r.denied {
		for i, p := range r.policy.beside {
			l.watchOne(ctx, key, a, i, p, l.timeout-time.Since(start), r)
		}
	}
	if shadow {
		r.shadow, r.Allowed = true, true
		if a.least > 0 { // all of it is
			r.cost = a.cost
		}
	}
	if r.cost > 0 && a.charge > 0 {
		l.report.count(key, r)
	}
	return nil
}

// watchOne decides a limit that is watched beside others. If that fails, the limit is
// undecided, and the call is served.
func (l *Limiter) watchOne(ctx context.Context, key string, a *ask, i int, p *Policy, left time.Duration, r *Result) {
	if left <= 0 || p.loans && a.hold == nil && a.charge > 0 {
		return
	}
	var hold *store.Hold
	if a.hold != nil {
		hold = &store.Hold{Spend: a.hold.Spend}
	}
	d, err := l.store.Take(ctx, store.Request{Home: a.home, Key: key, Limits: p.limits, Cost: a.charge, Hold: hold, Timeout: left})
	if err != nil {
		return
	}
	r.beside |= besideKnown << i
	at := len(r.policy.limits) + i
	r.states[at] = stateFrom(d.Debts[0], d.Held[0])
	if hold != nil && d.Allowed {
		a.hold.Names[at] = hold.Names[0]
	}
	if !d.Allowed || a.charge < r.cost && !p.fits(&d, r.cost) {
		r.beside |= besideDenied << i
		if d.Held[0] > 0 {
			r.wait, r.hinted = l.hint, true
		}
	}
}
