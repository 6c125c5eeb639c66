package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"
)

// DefaultTimeout is how long a decision may take when Config.Timeout is 0.
const DefaultTimeout = 50 * time.Millisecond

// Config is what [New] can be told. Its zero value is ready for use.
type Config struct {
	// Timeout is how long one decision may take, the look-up of the key's limits
	// and the store's answer together. 0 means [DefaultTimeout].
	Timeout time.Duration
	// Shadow makes the limiter decide, charge and report as ever, but admit every
	// call: see [Result.Shadow]. It is for watching limits before they are enforced;
	// for single limits there is [Limit.Shadow].
	Shadow bool
	// ShadowKeys is how many keys [Limiter.ShadowReport] tells of, at most
	// [MaxShadowKeys]. 0 means [DefaultShadowKeys]. A key counts once for each limit that
	// would have refused it, and takes 240 to 330 bytes.
	ShadowKeys int
	// Observe, if not nil, is called after each decision of Allow, AllowN and Wait,
	// which may have to decide several times, with the context of the call and on
	// its goroutine: it must be quick, and safe for concurrent use. If it panics,
	// the decision stands and Check warns.
	Observe func(context.Context, Event)
}

// A Limiter decides whether a key may call now: it looks up the policy of the key
// and asks the store. It is safe for concurrent use and has nothing to close. Make one
// with [New]; the zero Limiter answers every call with an error.
type Limiter struct {
	store   Store
	limits  Limits
	policy  *Policy // the only one, if limits are the same for all keys
	timeout time.Duration
	shadow  bool
	observe func(context.Context, Event)
	*record
	parts *parts // made from this one

	single    SingleTaker // the store, if it is one
	selfTimed bool        // neither store nor limits need a deadline on the context
	plain     bool        // and nobody observes
}

// A record is what a limiter remembers, and shares with those made from it.
type record struct {
	panics  atomic.Int64 // of observe
	lookups atomic.Int64 // of limits, that failed since the last one that did not
	proofs  proofs       // of Check
	report  watched
}

var errZeroLimiter = &LimitError{Field: "Limiter", Value: "zero value", Want: "must be made with ratelimit.New, whose error says what is wrong"}

// New returns a limiter that keeps its buckets in store and holds each key to
// what limits say. Limiters on one store share the bucket of a key and a limit's
// name: where that is not meant, name the limits, as in PerMinute(2).Named("export");
// Check warns of limits that differ under one name.
// It does no I/O and starts nothing. The error joins all faults of its arguments.
func New(store Store, limits Limits, c Config) (*Limiter, error) {
	l := &Limiter{store: store, limits: limits, timeout: c.Timeout, shadow: c.Shadow, observe: c.Observe, record: new(record), parts: new(parts)}
	var faults []error
	if isNil(store) {
		faults = append(faults, errors.New("ratelimit: store is nil; pass one, such as memstore.New(memstore.Config{})"))
	}
	if err := l.compile(); err != nil {
		faults = append(faults, err)
	}
	if c.Timeout < 0 {
		faults = append(faults, fmt.Errorf("ratelimit: Config.Timeout %v must not be negative; 0 means %v", c.Timeout, DefaultTimeout))
	}
	if c.ShadowKeys < 0 || c.ShadowKeys > MaxShadowKeys {
		faults = append(faults, fmt.Errorf("ratelimit: Config.ShadowKeys %d must be from 0 to %d; 0 means %d", c.ShadowKeys, MaxShadowKeys, DefaultShadowKeys))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if l.timeout == 0 {
		l.timeout = DefaultTimeout
	}
	l.report.since = time.Now()
	if l.report.top.max = c.ShadowKeys; c.ShadowKeys == 0 {
		l.report.top.max = DefaultShadowKeys
	}
	l.selfTimed = l.policy != nil || isSelfTimed(limits)
	if !isSelfTimed(store) {
		l.store, l.selfTimed = guarded{store, l.timeout}, false
	}
	if single, ok := l.store.(SingleTaker); ok && single.Self() == store {
		l.single = single
	}
	l.plain = l.selfTimed && l.observe == nil
	limiters.add(l)
	return l, nil
}

// Allow decides a call of cost 1. See [Limiter.AllowN].
func (l *Limiter) Allow(ctx context.Context, key string) (r Result, err error) {
	if !l.plain {
		return l.observed(ctx, key, 1)
	}
	err = l.decide(ctx, key, 1, 1, &r)
	return r, err
}

// AllowN decides a call that costs n tokens, n >= 0, and charges it if it is
// admitted. With n = 0 it only tells the state.
//
// A denial is a Result. An error is a fault: a [LimitError] if the key has no
// usable policy or n is negative, a [StoreError] if the store did not decide.
// What to do then, let the call pass or refuse it, is the caller's choice.
// The whole takes at most Config.Timeout, if Limits and store heed their context.
func (l *Limiter) AllowN(ctx context.Context, key string, n int) (r Result, err error) {
	if !l.plain {
		return l.observed(ctx, key, n)
	}
	err = l.decide(ctx, key, n, n, &r)
	return r, err
}

// Peek tells what Allow would answer now, and charges nothing.
func (l *Limiter) Peek(ctx context.Context, key string) (r Result, err error) {
	err = l.decideInTime(ctx, key, 1, 0, &r)
	return r, err
}

// decide asks the store for charge tokens and answers for a cost of n.
func (l *Limiter) decide(ctx context.Context, key string, n, charge int, r *Result) error {
	p := l.policy
	if p == nil {
		var err error
		if p, err = l.policyFor(ctx, key); err != nil {
			return l.fault(r, err, l.shadow)
		}
	}
	return l.decideBy(ctx, p, key, n, charge, r)
}

// decideBy is decide by a policy that is known.
func (l *Limiter) decideBy(ctx context.Context, p *Policy, key string, n, charge int, r *Result) error {
	shadow := l.shadow
	if p.phases != nil {
		ph := p.phases.now()
		p, shadow = ph.policy, ph.shadow || shadow
	}
	if n < 0 {
		return l.fault(r, &LimitError{Field: "n", Value: n, Want: "must be at least 0"}, shadow)
	}
	r.policy, r.Cost = p, n
	if p == Unlimited {
		r.Allowed, r.Remaining, r.Shadow = true, math.MaxInt, shadow
		return nil
	}
	if shadow || p.beside != nil {
		return l.watch(ctx, key, charge, shadow, r)
	}
	if err := l.take(ctx, key, charge, r); err != nil {
		return l.fault(r, err, false)
	}
	return nil
}

// take asks the store for charge tokens, of the policy of r and for its cost.
func (l *Limiter) take(ctx context.Context, key string, charge int, r *Result) error {
	p, n := r.policy, r.Cost
	if l.single != nil && len(p.buckets) == 1 && charge == n {
		if debt, allowed, ok := l.single.TakeOne(key, &p.buckets[0], n); ok {
			r.decideOne(debt, allowed)
			return nil
		}
	}
	d, err := l.store.Take(ctx, Request{Key: key, Policy: p, Cost: charge, Timeout: l.timeout})
	if err != nil {
		return storeError(err, key)
	}
	if charge < n && d.Allowed {
		d.Allowed = p.fits(&d, n)
	}
	r.decide(&d)
	return nil
}

// fault is the answer when nothing could be decided. In shadow the caller is served all
// the same.
func (l *Limiter) fault(r *Result, err error, shadow bool) error {
	*r = Result{Allowed: shadow, Shadow: shadow}
	return err
}

// decideInTime is decide within Config.Timeout.
func (l *Limiter) decideInTime(ctx context.Context, key string, n, charge int, r *Result) error {
	if !l.selfTimed {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, l.timeout)
		defer cancel()
	}
	return l.decide(ctx, key, n, charge, r)
}

// observed is AllowN for a limiter with an observer, or with parts that need a
// deadline.
func (l *Limiter) observed(ctx context.Context, key string, n int) (r Result, err error) {
	if l.observe == nil {
		err = l.decideInTime(ctx, key, n, n, &r)
		return r, err
	}
	start := time.Now()
	err = l.decideInTime(ctx, key, n, n, &r)
	defer func() {
		if recover() != nil {
			l.panics.Add(1)
		}
	}()
	l.observe(ctx, Event{Result: r, Err: err, Took: time.Since(start)})
	return r, err
}
