package ratelimit

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyrate/keyrate/store"
)

// Limits look up the policy of a key. A [Limit], a [*Policy], a [LimitsFunc] and the
// tables and caches of package plans are Limits.
//
// PolicyFor is called for every decision, concurrently, so it should be quick. An error or
// a nil Policy is a fault, not a free pass: the limiter returns it. The context ends with
// Config.Timeout; a PolicyFor that waits for anything must heed it. A panic is a fault,
// too. Limits that never wait should implement [store.SelfTimed].
//
// If Limits have a method Validate() error, [New] returns its error.
type Limits interface {
	PolicyFor(ctx context.Context, key string) (*Policy, error)
}

// replaceable is implemented by [Limits] whose policies are known and may change while
// they are in use, as a plans.Table does. [Limiter.With] and [Limiter.Instead] then check
// that limits fit together when they are set, not when a key calls.
type replaceable interface {
	Limits
	// Require returns an error if fits does so for one of the policies. Otherwise all
	// later policies, too, must be ones for which fits returns nil.
	Require(fits func(*Policy) error) error
	// Default returns the policy of keys that are not listed.
	Default() *Policy
}

// A LimitsFunc is a function that looks up a key's policy. The key may share memory with a
// long header: a function that keeps keys should keep a [strings.Clone]. An error that it
// returns is shown by its text, unless that holds the key: see [store.Error].
type LimitsFunc func(ctx context.Context, key string) (*Policy, error)

// PolicyFor calls f.
func (f LimitsFunc) PolicyFor(ctx context.Context, key string) (*Policy, error) { return f(ctx, key) }

// setLimits checks the limits, and compiles them once if all keys have the same.
func (l *Limiter) setLimits(limits Limits) (err error) {
	if _, policy := limits.(*Policy); !policy && store.IsNil(limits) {
		return &LimitError{Field: "limits", Value: "nil", Want: "must be given, such as ratelimit.PerSecond(5)"}
	}
	if pointer, ok := limits.(*Limit); ok {
		limits = *pointer
	}
	l.limits = limits
	if err := validate(limits); err != nil {
		return err
	}
	switch limits := limits.(type) {
	case Limit:
		l.policy, err = NewPolicy(limits)
	case *Policy:
		l.policy, err = limits.PolicyFor(context.Background(), "")
	}
	return err
}

// usable returns an error if every decision by p fails: it has a limit on concurrent calls,
// which the store of l cannot count, or a Shared one and no home.
func (l *Limiter) usable(p *Policy) error {
	if p.shared && p.home == "" {
		return p.needsHome()
	}
	return l.countable(p)
}

// countable returns an error if p has a limit on concurrent calls, which the store of l cannot
// count.
func (l *Limiter) countable(p *Policy) error {
	if p.loans && l.holder == nil {
		return p.needsHolder()
	}
	return nil
}

// rejectKnown returns the faults of the policies that are known. A table rejects policies with
// such a fault from then on.
func (l *Limiter) rejectKnown() []error {
	var err error
	if l.policy != nil {
		err = l.usable(l.policy)
	} else if r := replaceableOf(l.limits); r != nil && l.holder == nil {
		err = r.Require(l.countable) // a table itself rejects Shared limits without a home
	}
	if err != nil {
		return []error{err}
	}
	return nil
}

// policyFor looks up the key's policy and rejects one that cannot be used.
func (l *Limiter) policyFor(ctx context.Context, key string) (*Policy, error) {
	if l.policy != nil {
		return l.policy, nil
	}
	if l.record == nil {
		return nil, errZeroLimiter
	}
	p, err := l.lookUp(ctx, key)
	if err != nil {
		l.lookups.Add(1)
		return nil, err
	}
	if l.lookups.Load() != 0 {
		l.lookups.Store(0)
	}
	return p, nil
}

func (l *Limiter) lookUp(ctx context.Context, key string) (p *Policy, err error) {
	var text error // of err, without the key
	panicked := store.Try(func() {
		if p, err = l.limits.PolicyFor(ctx, key); err != nil {
			text = store.Withhold(err, key)
		}
	})
	switch {
	case panicked != nil:
		return nil, &LimitError{Field: "PolicyFor", Want: "must return a policy or an error", Err: panicked}
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		want := fmt.Sprintf("must return a policy within Config.Timeout, here %v, or an earlier deadline of the caller", l.timeout)
		return nil, &LimitError{Field: "PolicyFor", Want: want, Err: text}
	case err != nil:
		return nil, &LimitError{Field: "PolicyFor", Want: "failed", Err: text}
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, l.usable(p)
}

// validate returns what a store or Limits say of themselves. Of a type that embeds nil, that is a panic.
func validate(x any) (err error) {
	if v, ok := x.(interface{ Validate() error }); ok {
		if panicked := store.Try(func() { err = v.Validate() }); panicked != nil {
			return panicked
		}
	}
	return err
}
