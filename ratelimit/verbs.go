package ratelimit

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Allow decides a call of cost 1. See [Limiter.AllowN].
func (l *Limiter) Allow(ctx context.Context, key string) (r Result, err error) {
	if l.short {
		l.takeOne(l.policy, key, 1, &r)
		return r, nil
	}
	if !l.plain {
		w := l.watched()
		if l.counted && !w.timed {
			l.takeCounted(w.pick, key, 1, &r)
			return r, nil
		}
		err = l.decideWatched(ctx, w, key, &ask{cost: 1, charge: 1}, &r)
		return r, err
	}
	err = l.decide(ctx, key, &ask{cost: 1, charge: 1}, &r)
	return r, err
}

// AllowN decides a call that costs n tokens, n >= 0, and charges it if it is admitted. With
// n = 0 it only reads the state. A call that a limit on concurrent calls may deny is decided
// with [Limiter.Hold] or [Limiter.Enter] instead: for such a key, AllowN returns an error.
//
// A denial is a Result. An error is a fault: a [LimitError] if the key has no usable policy
// or n is negative, a [store.Error] if the store did not decide. Whether the call passes
// then is the caller's choice. The whole takes at most Config.Timeout, if Limits and store
// heed their context.
func (l *Limiter) AllowN(ctx context.Context, key string, n int) (r Result, err error) {
	if l.short && n >= 0 {
		l.takeOne(l.policy, key, n, &r)
		return r, nil
	}
	if !l.plain {
		w := l.watched()
		if l.counted && !w.timed && n >= 0 {
			l.takeCounted(w.pick, key, n, &r)
			return r, nil
		}
		err = l.decideWatched(ctx, w, key, &ask{cost: n, charge: n}, &r)
		return r, err
	}
	err = l.decide(ctx, key, &ask{cost: n, charge: n}, &r)
	return r, err
}

// AllowUpTo takes as many tokens as there are, from 1 to n, for callers that can do a part of
// their work now, such as the consumer of a queue. [Result.Granted] returns how many it took.
// It denies the call if there is none. If n is less than 1, it returns an error; all else is
// as with [Limiter.AllowN].
func (l *Limiter) AllowUpTo(ctx context.Context, key string, n int) (r Result, err error) {
	if n < 1 {
		return r, l.fault(&r, &LimitError{Field: "n", Value: n, Want: "must be at least 1"}, l.shadow)
	}
	if err = l.decideObserved(ctx, key, &ask{cost: n, charge: n, least: 1}, &r); err != nil && r.Allowed {
		r.cost = n
	}
	return r, err
}

// Peek returns what a call of cost 1 would be answered now, and charges nothing.
func (l *Limiter) Peek(ctx context.Context, key string) (r Result, err error) {
	err = l.decideInTime(ctx, key, &ask{cost: 1}, &r)
	return r, err
}

// PeekN returns what a call that costs n tokens would be answered now, and charges nothing:
// RetryAfter of the Result reports when it would be admitted.
func (l *Limiter) PeekN(ctx context.Context, key string, n int) (r Result, err error) {
	err = l.decideInTime(ctx, key, &ask{cost: n}, &r)
	return r, err
}

// Charge charges n tokens to all limits of the key, of the shadow ones too, whether they fit
// or not: a penalty, or a price that became known late. Later calls wait until the debt has
// drained. No limit owes more than twice its burst: charged is how many tokens the limit took
// that took the fewest. It is 0 for a key that is exempt or blocked, and for one that has only limits on
// concurrent calls. The error is as for [Limiter.AllowN]; then the tokens may have been
// charged. The store must be a [store.Holder]. Charge is not a decision, and not observed.
func (l *Limiter) Charge(ctx context.Context, key string, n int) (charged int, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	p, err := l.policyFor(ctx, key)
	switch {
	case err != nil:
		return 0, err
	case n < 0:
		return 0, &LimitError{Field: "n", Value: n, Want: "must be at least 0"}
	case p.present().exempt() || p.loans && p.onlyLoans == nil || n == 0:
		return 0, nil
	case l.holder == nil:
		return 0, needsHolderTo("to charge tokens whether they fit or not")
	}
	n = int(min(int64(n), 2*gcra.MaxBurst)) // as which a store counts more
	charge := []store.Settlement{{Home: p.home, Key: key, Limits: p.limits, Actual: n}}
	l.holder.Settle(ctx, charge)
	if err := charge[0].Err; err != nil {
		return 0, store.NewError(err, key)
	}
	charged = n - charge[0].Lost
	if l.counts != nil {
		l.counts.Charged(p.names, charged)
	}
	return charged, nil
}
