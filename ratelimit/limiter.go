package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"sync/atomic"
	"time"
)

// DefaultTimeout is how long a decision may take when Config.Timeout is 0.
const DefaultTimeout = 50 * time.Millisecond

// Config is what [New] can be told. Its zero value is ready for use.
type Config struct {
	// Timeout is how long one decision may take, the store's answer included. 0
	// means [DefaultTimeout].
	Timeout time.Duration
	// Shadow makes the limiter decide, charge and report as ever, but admit every
	// call: see [Result.Shadow]. It is for watching a limit before it is enforced.
	Shadow bool
	// Observe, if not nil, is called after each Allow, AllowN and Wait, with the
	// context of the call and on its goroutine: it must be quick, and safe for
	// concurrent use. If it panics, the decision stands and Check warns.
	Observe func(context.Context, Event)
}

// A Limiter decides whether a key may call now: it looks up the policy of the key
// and asks the store. It is safe for concurrent use and has nothing to close.
type Limiter struct {
	store     Store
	selfTimed bool
	limits    Limits
	policy    *Policy // the only one, if limits are the same for all keys
	timeout   time.Duration
	shadow    bool
	observe   func(context.Context, Event)
	panics    atomic.Int64 // of observe
}

// New returns a limiter that keeps its buckets in store and holds each key to
// what limits say. It does no I/O and starts nothing. The error joins all faults
// of its arguments.
func New(store Store, limits Limits, c Config) (*Limiter, error) {
	l := &Limiter{store: store, limits: limits, timeout: c.Timeout, shadow: c.Shadow, observe: c.Observe}
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
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if l.timeout == 0 {
		l.timeout = DefaultTimeout
	}
	_, l.selfTimed = store.(SelfTimed)
	return l, nil
}

// Allow decides a call of cost 1. See [Limiter.AllowN].
func (l *Limiter) Allow(ctx context.Context, key string) (Result, error) {
	return l.AllowN(ctx, key, 1)
}

// AllowN decides a call that costs n tokens, n >= 0, and charges it if it is
// admitted. With n = 0 it only tells the state.
//
// A denial is a Result. An error is a fault: a [LimitError] if the key has no
// usable policy or n is negative, a [StoreError] if the store did not decide.
// What to do then, let the call pass or refuse it, is the caller's choice.
// The whole takes at most Config.Timeout, if the store heeds its context.
func (l *Limiter) AllowN(ctx context.Context, key string, n int) (Result, error) {
	if l.observe != nil {
		return l.observed(ctx, key, n)
	}
	return l.decide(ctx, key, n, n)
}

// Peek tells what Allow would answer now, and charges nothing.
func (l *Limiter) Peek(ctx context.Context, key string) (Result, error) {
	return l.decide(ctx, key, 1, 0)
}

// Reset fills the key's buckets. The error is as for AllowN.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	p, err := l.policyFor(ctx, key)
	if err != nil || p == Unlimited {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := l.guard(func() error { return l.store.Reset(ctx, key, p) }); err != nil {
		return storeError(err, key)
	}
	return nil
}

// decide asks the store for charge tokens and answers for a cost of n.
func (l *Limiter) decide(ctx context.Context, key string, n, charge int) (Result, error) {
	r := Result{Cost: n, policy: l.policy}
	if r.policy == nil {
		var err error
		if r.policy, err = l.policyFor(ctx, key); err != nil {
			return l.fault(err)
		}
	}
	if n < 0 {
		return l.fault(&LimitError{Field: "n", Value: n, Want: "must be at least 0"})
	}
	if r.policy == Unlimited {
		r.Allowed, r.Remaining, r.Shadow = true, math.MaxInt, l.shadow
		return r, nil
	}
	d, err := l.take(ctx, Request{Key: key, Policy: r.policy, Cost: charge, Timeout: l.timeout})
	if err != nil {
		return l.fault(storeError(err, key))
	}
	if charge < n && d.Allowed {
		d.Allowed = r.policy.fits(&d, n)
	}
	r.decide(&d)
	if l.shadow {
		r.Shadow, r.WouldDeny, r.Allowed = true, !r.Allowed, true
	}
	return r, nil
}

// take asks the store, within the time that a decision may take.
func (l *Limiter) take(ctx context.Context, r Request) (d Decision, err error) {
	if l.selfTimed {
		return l.store.Take(ctx, r)
	}
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	err = l.guard(func() error {
		d, err = l.store.Take(ctx, r)
		return err
	})
	return d, err
}

// policyFor looks the key's policy up and refuses one that cannot be used.
func (l *Limiter) policyFor(ctx context.Context, key string) (p *Policy, err error) {
	if l.policy != nil {
		return l.policy, nil
	}
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, &LimitError{Field: "PolicyFor", Value: "panic", Want: "must return a policy or an error"}
		}
	}()
	if p, err = l.limits.PolicyFor(ctx, key); err != nil {
		return nil, &LimitError{Field: "PolicyFor", Value: "error", Want: "must return a policy", Err: withoutKey(err, key)}
	}
	if err := checkPolicy(p); err != nil {
		return nil, err
	}
	return p, nil
}

// fault is the answer when nothing could be decided. In shadow mode the caller is
// served all the same.
func (l *Limiter) fault(err error) (Result, error) {
	return Result{Allowed: l.shadow, Shadow: l.shadow}, err
}

// observed is AllowN for a limiter with an observer.
func (l *Limiter) observed(ctx context.Context, key string, n int) (Result, error) {
	start := time.Now()
	r, err := l.decide(ctx, key, n, n)
	defer func() {
		if recover() != nil {
			l.panics.Add(1)
		}
	}()
	l.observe(ctx, Event{Result: r, Err: err, Took: time.Since(start)})
	return r, err
}

// guard turns a panic of a store into an error: a limiter stands in front of
// everything its users have, and must not bring it down.
func (l *Limiter) guard(call func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &StoreError{Class: ClassPanic, Err: errors.New("it panicked")}
		}
	}()
	return call()
}

// compile checks the limits, and compiles them once if all keys have the same.
func (l *Limiter) compile() error {
	switch limits := l.limits.(type) {
	case Limit:
		p, err := NewPolicy(limits)
		l.policy = p
		return err
	case *Policy:
		if err := checkPolicy(limits); err != nil {
			return err
		}
		l.policy = limits
	default:
		if isNil(limits) {
			return &LimitError{Field: "limits", Value: "nil", Want: "must be given, such as ratelimit.PerSecond(5)"}
		}
	}
	return nil
}

// isNil tells whether an interface holds nothing, or a nil pointer or function.
func isNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Interface:
		return r.IsNil()
	default:
		return false
	}
}
