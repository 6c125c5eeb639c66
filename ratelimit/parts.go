package ratelimit

import (
	"context"

	"github.com/keyrate/keyrate/store"
)

// eachPart calls f for the limits of each part of l, and of theirs, that hold a key with
// the policy own, until f returns an error. A part whose limits do not go together with
// that policy holds no key under it.
func (l *Limiter) eachPart(own *Policy, f func(part *Limiter, limits *Policy) error) error {
	for _, part := range l.parts.inUse() {
		d, ok := part.limits.(*derived)
		if !ok {
			continue
		}
		p, err := d.make(own)
		if err != nil {
			continue
		}
		if err := f(part, d.part); err != nil {
			return err
		}
		if err := part.eachPart(p, f); err != nil {
			return err
		}
	}
	return nil
}

// PeekParts returns what the limits of each part of l would answer to a call of cost 1 now,
// and charges nothing: one Result for each limiter that was made from l with With or
// Instead and is still in use, and for those made from these, in the order in which they
// were made. A Result holds the limits of the part alone, not the key's own: those are in
// the Result of Peek. If the key is locked out of a part, its Result is that of a blocked key,
// whose Policy().Limits are those of the part. There are none for a key that is exempt or blocked.
// It takes one decision for each part.
func (l *Limiter) PeekParts(ctx context.Context, key string) ([]Result, error) {
	own, err := l.ownPolicy(ctx, key)
	if err != nil {
		return nil, err
	}
	if own = own.present(); own.exempt() {
		return nil, nil
	}
	var results []Result
	err = l.eachPart(own, func(part *Limiter, limits *Policy) error {
		ctx, cancel := context.WithTimeout(ctx, part.timeout)
		defer cancel()
		limits = limits.In(own.home)
		var r Result
		err := part.usable(limits)
		if err == nil {
			err = part.decideBy(ctx, limits, key, &ask{cost: 1}, &r)
		}
		if r.Blocked() {
			r.policy = limits.lockedOut(r.policy.block, key)
		}
		results = append(results, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	return results, nil
}

// ResetLimit fills the key's bucket of the limit with a name: one of the key's own limits
// or, as those of a route, of a part of l. If found is false, there is no such limit. For
// an exempt key it does nothing, and found is true. The error is as for AllowN.
func (l *Limiter) ResetLimit(ctx context.Context, key, name string) (found bool, err error) {
	own, err := l.ownPolicy(ctx, key)
	if err != nil || own == Unlimited {
		return err == nil, err
	}
	reset := func(_ *Limiter, limits *Policy) error {
		for i := range limits.limits {
			if limits.limits[i].Name == name {
				found = true
				return l.reset(ctx, own.home, key, limits.limits[i:i+1])
			}
		}
		return nil
	}
	if err := reset(l, own); err != nil {
		return found, err
	}
	err = l.eachPart(own, reset)
	return found, err
}

// Reset fills the key's own buckets, also those of the parts of l: the limiters that were made
// from it with With or Instead and are still in use. What the keys of a home share stays: see
// [Limiter.ResetShared]. The error is as for AllowN; some of
// the buckets may have been filled then.
//
// Reset also voids what calls hold that are running. A hold that ends before its next renewal
// charges nothing. A renewal holds anew, whether there is room or not, and the call pays its
// price at its end. Renewals come 0.3 to 0.4 seconds after the hold began, and then every 3
// seconds. Until then the places of these calls are free: if both places of AtOnce(2)
// are taken, two more calls may enter after a Reset, and four run.
func (l *Limiter) Reset(ctx context.Context, key string) error {
	// The look-up and the key's own buckets share one Config.Timeout, each part has its own.
	first, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	own, err := l.ownPolicy(first, key)
	if err != nil || own == Unlimited {
		return err
	}
	l.lockouts.forget(key, own.limits) // those of shared limits, too: a lock-out is the key's alone
	if err := l.reset(first, own.home, key, own.of(false)); err != nil {
		return err
	}
	return l.eachPart(own, func(_ *Limiter, limits *Policy) error {
		l.lockouts.forget(key, limits.limits)
		return l.reset(ctx, own.home, key, limits.of(false))
	})
}

// ownPolicy looks the key's policy up within Config.Timeout.
func (l *Limiter) ownPolicy(ctx context.Context, key string) (*Policy, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	return l.policyFor(ctx, key)
}

// reset fills the key's buckets of one policy within Config.Timeout.
func (l *Limiter) reset(ctx context.Context, home, key string, limits []store.Limit) error {
	if len(limits) == 0 {
		return nil
	}
	l.lockouts.forget(key, limits)
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	if err := l.store.Reset(ctx, store.Request{Home: home, Key: key, Limits: limits}); err != nil {
		return store.NewError(err, key)
	}
	return nil
}
