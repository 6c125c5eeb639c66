package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/store"
)

// With returns a limiter that holds each key to further limits beside its own, all of
// them decided together: for a part of what l guards, such as a route. It shares the
// store, and so the buckets of l, its Config, its shadow report and its health. An exempt
// key stays exempt, and a blocked one blocked. The names of the limits must differ from those of the keys' own, and
// no key may have more than [store.MaxLimits] together. A Shared limit needs a home for every
// key that is not exempt. The error joins all
// faults that the limits have beside the policy of l or those of its plans.Table, which
// from then on rejects policies that do not fit. With other [Limits], a decision about a
// key whose policy does not fit ends with a [LimitError].
//
// Peek of the new limiter is about all of these limits, Peek of l about the keys' own, and
// [Limiter.PeekParts] of l about the further ones. Reset of l fills the buckets of the
// parts, too, as long as they are in use. Call With once for each part, not for each call:
// it remembers what it made of policies, and a table keeps it.
func (l *Limiter) With(limits ...Limit) (*Limiter, error) { return l.derive(false, limits) }

// Instead returns a limiter that holds each key to the given limits in place of its own;
// but an exempt key stays exempt, and a blocked one blocked. All else is as with [Limiter.With]: the names must differ
// here, too, for limits of one name share a bucket.
func (l *Limiter) Instead(limits ...Limit) (*Limiter, error) { return l.derive(true, limits) }

// derive returns a limiter whose policies are made from those of l.
func (l *Limiter) derive(instead bool, limits []Limit) (*Limiter, error) {
	if l.record == nil {
		return nil, errZeroLimiter
	}
	part, err := NewPolicy(limits...)
	if err != nil {
		return nil, err
	}
	if part.loans && l.holder == nil {
		return nil, part.needsHolder()
	}
	d := &derived{from: l, part: part, instead: instead}
	made := *l
	made.limits, made.policy, made.parts = d, nil, new(registry)
	if l.policy != nil {
		if made.policy, err = d.make(l.policy); err == nil {
			err = l.usable(made.policy)
		}
	} else if r := replaceableOf(l.limits); r != nil {
		err = r.Require(d.fitsOrigin)
	}
	if err != nil {
		return nil, err
	}
	made.plan()
	l.parts.add(&made)
	if made.usual() != nil {
		limiters.add(&made)
	}
	return &made, nil
}

// derived are limits that are made from those of another limiter.
type derived struct {
	from    *Limiter
	part    *Policy  // the limits beside the keys' own, or
	instead bool     // in their place
	made    sync.Map // *Policy to *Policy
	count   atomic.Int64
}

// maxDerived bounds the memory: limits may make policies without end.
const maxDerived = 1000

// PolicyFor returns what is made of the key's own policy.
func (d *derived) PolicyFor(ctx context.Context, key string) (*Policy, error) {
	own, err := d.from.limits.PolicyFor(ctx, key)
	if err != nil {
		return nil, err
	}
	if err := own.check(); err != nil {
		return nil, err
	}
	return d.make(own)
}

// make returns what is made of a policy, which is done once while it is in use.
func (d *derived) make(own *Policy) (*Policy, error) {
	if own == Unlimited {
		return Unlimited, nil
	}
	if own.block != nil && own.block.then == nil {
		return own, nil
	}
	if known, ok := d.made.Load(own); ok {
		if p, ok := known.(*Policy); ok {
			return p, nil
		}
	}
	if own.block != nil {
		then, err := d.make(own.block.then)
		if err != nil {
			return nil, err
		}
		return d.keep(own, blocked(own.block.Block, then)), nil
	}
	if own.base != nil {
		p, err := d.make(own.base)
		if err != nil {
			return nil, err
		}
		return d.keep(own, p.In(own.home)), nil
	}
	if err := d.fits(own); err != nil {
		return nil, fmt.Errorf("ratelimit: for keys under %v: %w", own, err)
	}
	p := d.part
	if !d.instead {
		var err error
		if p, err = NewPolicy(append(own.Limits(), d.part.written...)...); err != nil {
			return nil, err // cannot be: fits has looked
		}
	}
	return d.keep(own, p), nil
}

// keep remembers what was made of a policy. Concurrent callers store equal ones.
func (d *derived) keep(own, made *Policy) *Policy {
	if d.count.Add(1) > maxDerived {
		d.made.Clear()
		d.count.Store(1)
	}
	d.made.Store(own, made)
	return made
}

// fits returns nil if something can be made of a policy.
func (d *derived) fits(own *Policy) error {
	var faults []error
	if n := len(own.limits) + len(d.part.limits); n > store.MaxLimits && !d.instead && !own.exempt() {
		faults = append(faults, wrongCount(n))
	}
	for i := range d.part.limits {
		for j := range own.limits {
			if name := d.part.limits[i].Name; name == own.limits[j].Name {
				faults = append(faults, sameName(name, "the key's own limits"))
			}
		}
	}
	return errors.Join(faults...)
}

// fitsOrigin is fits for a policy of the limits that all is made from. Those in between
// report what does not fit them.
func (d *derived) fitsOrigin(p *Policy) error {
	if from, ok := d.from.limits.(*derived); ok {
		if p, ok = from.fromOrigin(p); !ok {
			return nil
		}
	}
	if d.part.shared && p.home == "" && !p.exempt() {
		return d.part.needsHome()
	}
	return d.fits(p)
}

// fromOrigin is make for a policy of the limits that all is made from.
func (d *derived) fromOrigin(p *Policy) (made *Policy, ok bool) {
	if from, isDerived := d.from.limits.(*derived); isDerived {
		if p, ok = from.fromOrigin(p); !ok {
			return nil, false
		}
	}
	made, err := d.make(p)
	return made, err == nil
}

// Limits returns the limits that [New] was given: for a limiter that was made with With or
// Instead, those of the limiter that it was made from. A *[Limit] is returned as a Limit.
func (l *Limiter) Limits() Limits {
	if d, ok := l.limits.(*derived); ok {
		return d.from.Limits()
	}
	return l.limits
}

// usual returns the policy of all keys, or of those that a table does not list; nil if it
// is not known.
func (l *Limiter) usual() *Policy {
	if l.policy != nil {
		return l.policy
	}
	r := replaceableOf(l.limits)
	if r == nil {
		return nil
	}
	p := r.Default()
	if d, ok := l.limits.(*derived); ok {
		p, _ = d.fromOrigin(p)
	}
	return p
}

// replaceableOf returns the limits that limits are made from, if those are replaceable.
func replaceableOf(limits Limits) replaceable {
	if d, ok := limits.(*derived); ok {
		return replaceableOf(d.from.limits)
	}
	r, _ := limits.(replaceable)
	return r
}
