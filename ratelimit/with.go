package ratelimit

import (
	"context"
	"sync"
	"sync/atomic"
)

// With returns a limiter that holds each key to further limits beside its own, all of
// them decided together: for a part of what l guards, such as a route. It shares the
// store, and so the buckets of l, its Config, its shadow report and its health. An exempt
// key stays exempt. The names of the limits must differ from those of the keys' own, and
// no key may have more than [MaxLimits] together: where a key's policy does not fit, a
// decision about it ends with a [LimitError]. The error joins what can be seen at once.
//
// Call it once for each part, not for each call: it remembers what it made of policies.
func (l *Limiter) With(limits ...Limit) (*Limiter, error) {
	return l.derive(limits, func(own *Policy) (*Policy, error) {
		return NewPolicy(append(own.Limits(), limits...)...)
	})
}

// Instead returns a limiter that holds each key to the given limits in place of its own;
// but an exempt key stays exempt. All else is as with [Limiter.With].
func (l *Limiter) Instead(limits ...Limit) (*Limiter, error) {
	p, err := NewPolicy(limits...)
	if err != nil {
		return nil, err
	}
	return l.derive(limits, func(*Policy) (*Policy, error) { return p, nil })
}

// derive returns a limiter whose policies are made from those of l.
func (l *Limiter) derive(limits []Limit, of func(own *Policy) (*Policy, error)) (*Limiter, error) {
	if _, err := NewPolicy(limits...); err != nil {
		return nil, err
	}
	d := &derived{from: l, of: of}
	part := *l
	part.limits, part.policy = d, nil
	for _, p := range l.knownPolicies() {
		made, err := d.make(p)
		if err != nil {
			return nil, err
		}
		if l.policy != nil {
			part.policy = made
		}
	}
	return &part, nil
}

// knownPolicies returns what can be tried before a key is there.
func (l *Limiter) knownPolicies() []*Policy {
	switch t, isTable := l.limits.(*Table); {
	case l.policy != nil:
		return []*Policy{l.policy}
	case isTable:
		return t.policies()
	default:
		return nil
	}
}

// derived are limits that are made from those of another limiter.
type derived struct {
	from  *Limiter
	of    func(own *Policy) (*Policy, error)
	made  sync.Map // *Policy to *Policy
	count atomic.Int64
}

// maxDerived bounds the memory: limits may make policies without end.
const maxDerived = 1000

// PolicyFor returns what is made of the key's own policy.
func (d *derived) PolicyFor(ctx context.Context, key string) (*Policy, error) {
	own, err := d.from.limits.PolicyFor(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := checkPolicy(own); err != nil {
		return nil, err
	}
	return d.make(own)
}

// make returns what is made of a policy, which is done once.
func (d *derived) make(own *Policy) (*Policy, error) {
	if own == Unlimited {
		return Unlimited, nil
	}
	if known, ok := d.made.Load(own); ok {
		if p, ok := known.(*Policy); ok {
			return p, nil
		}
	}
	p, err := d.of(own)
	if err != nil {
		return nil, err
	}
	if d.count.Add(1) > maxDerived {
		d.made.Clear()
		d.count.Store(1)
	}
	d.made.Store(own, p)
	return p, nil
}
