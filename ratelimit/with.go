package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
)

// With returns a limiter that holds each key to further limits beside its own, all of
// them decided together: for a part of what l guards, such as a route. It shares the
// store, and so the buckets of l, its Config, its shadow report and its health. An exempt
// key stays exempt. The names of the limits must differ from those of the keys' own, and
// no key may have more than [MaxLimits] together: where a key's policy does not fit, a
// decision about it ends with a [LimitError]. The error joins what can be seen at once:
// faults of the limits, or of what they make of the policy of l, or of the default and
// the plans of its [Table].
//
// Reset and Peek of the new limiter are about all of these limits, those of l about the
// keys' own. Call With once for each part, not for each call: it remembers what it made
// of policies.
func (l *Limiter) With(limits ...Limit) (*Limiter, error) {
	if _, err := NewPolicy(limits...); err != nil {
		return nil, err
	}
	limits = slices.Clone(limits) // the caller may use his again
	return l.derive(func(own *Policy) (*Policy, error) {
		return NewPolicy(append(own.Limits(), limits...)...)
	})
}

// Instead returns a limiter that holds each key to the given limits in place of its own;
// but an exempt key stays exempt. All else is as with [Limiter.With]: the names must differ
// here, too, for limits of one name share a bucket.
func (l *Limiter) Instead(limits ...Limit) (*Limiter, error) {
	p, err := NewPolicy(limits...)
	if err != nil {
		return nil, err
	}
	return l.derive(func(own *Policy) (*Policy, error) { return p, p.differsFrom(own) })
}

// differsFrom returns an error for each name that two policies have in common.
func (p *Policy) differsFrom(own *Policy) error {
	var faults []error
	for i := range p.buckets {
		for j := range own.buckets {
			if name := p.buckets[i].limit.Name; name == own.buckets[j].limit.Name {
				faults = append(faults, sameName(name, "the key's own limits"))
			}
		}
	}
	return errors.Join(faults...)
}

// derive returns a limiter whose policies are made from those of l.
func (l *Limiter) derive(of func(own *Policy) (*Policy, error)) (*Limiter, error) {
	d := &derived{from: l, of: of}
	part := *l
	part.limits, part.policy = d, nil
	var faults []error
	for _, own := range l.knownPolicies() {
		made, err := d.make(own)
		if err != nil {
			faults = append(faults, err)
		}
		if l.policy != nil {
			part.policy = made
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return &part, nil
}

// knownPolicies returns what can be tried before a key is there.
func (l *Limiter) knownPolicies() []*Policy {
	if l.policy != nil {
		return []*Policy{l.policy}
	}
	switch limits := l.limits.(type) {
	case *Table:
		return limits.policies()
	case *derived:
		all := limits.from.knownPolicies()
		for i, own := range all {
			all[i], _ = limits.make(own) // nil if the table has changed, to what does not fit
		}
		return slices.DeleteFunc(all, func(p *Policy) bool { return p == nil })
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

// make returns what is made of a policy, which is done once while it is in use.
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
		return nil, fmt.Errorf("ratelimit: for keys under %v: %w", own, err)
	}
	if d.count.Add(1) > maxDerived {
		d.made.Clear()
		d.count.Store(1)
	}
	d.made.Store(own, p) // whoever does so at the same time comes to the same
	return p, nil
}
