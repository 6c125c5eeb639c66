package ratelimit

import (
	"context"

	"github.com/keyrate/keyrate/store"
)

// In returns p for the keys of a home, such as an organisation: they share the buckets of the
// limits that are Shared, and have their own of the others. All of a key's calls must be
// decided in one home, so it is the look-up of the key's limits that calls In, with a name
// that no caller can choose. A key that moves to another home begins with full buckets of its
// own. "" is no home. In costs one small allocation; a look-up should keep what it returns.
//
// With a shared store on a Redis Cluster, all buckets of a home are on one server.
func (p *Policy) In(home string) *Policy {
	if p == nil || p == Unlimited || home == p.home {
		return p
	}
	base := p
	if p.base != nil {
		base = p.base
	}
	if home == "" {
		return base
	}
	q := *base
	q.home, q.base = home, base
	if q.block != nil && q.block.then != nil {
		in := *q.block
		in.then = in.then.In(home)
		q.block = &in
	}
	return &q
}

// Home returns the home of the keys that are held to p; "" if they stand alone.
func (p *Policy) Home() string {
	if p == nil {
		return ""
	}
	return p.home
}

// needsHome is the error for a key whose limits are shared with no one.
func (p *Policy) needsHome() *LimitError {
	for _, l := range p.written {
		if l.Shared {
			return &LimitError{Limit: l.Name, Field: "Shared", Value: l.String(),
				Want: "must come with a home, whose keys share it: let the look-up of the key's limits return policy.In(home)"}
		}
	}
	return nil
}

// ResetShared fills the shared buckets of the key's home, for all of its keys, also those of
// the parts of l. For a key without a home it does nothing. The error is as for
// [Limiter.Reset].
func (l *Limiter) ResetShared(ctx context.Context, key string) error {
	own, err := l.ownPolicy(ctx, key)
	if err != nil || own.exempt() || own.home == "" {
		return err
	}
	if err := l.reset(ctx, own.home, key, own.of(true)); err != nil {
		return err
	}
	return l.eachPart(own, func(_ *Limiter, limits *Policy) error { return l.reset(ctx, own.home, key, limits.of(true)) })
}

// of returns the limits that are shared, or those that are not.
func (p *Policy) of(shared bool) (limits []store.Limit) {
	for i := range p.limits {
		if p.limits[i].Shared == shared {
			limits = append(limits, p.limits[i])
		}
	}
	return limits
}
