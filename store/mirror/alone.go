package mirror

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// without decides a call without the shared store, which failed with err, of a class.
func (s *Store) without(r *ratelimit.Request, t *trip, class string, err error) (ratelimit.Decision, error) {
	if !s.noShare {
		return s.alone(r, t), nil
	}
	s.memory.land(r, t)
	return ratelimit.Decision{}, &ratelimit.StoreError{Class: class, Err: err, NotCharged: !t.unknown}
}

// alone decides by the bucket of this node's share and by what is known, and adds the
// call to that if it is admitted: all at once, or another would slip in between.
func (s *Store) alone(r *ratelimit.Request, t *trip) ratelimit.Decision {
	share := s.shares.share(r.Policy, s.nodes)
	sh := s.memory.shard(t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.landAll(r, t)
	now := s.now()
	var known ratelimit.Knowledge
	debts := sh.owed(r, t, now)
	for i := range r.Policy.Len() {
		debt := debts[i]
		if debt.Frac != 0 && share.Bucket(i).Denominator() != r.Policy.Bucket(i).Denominator() {
			debt = ratelimit.Debt{Micros: debt.Micros + 1}
		}
		known[i].Debt = debt
	}
	// It never waits and never fails: the policy is there.
	d, _ := s.local.Take(context.Background(), ratelimit.Request{Key: r.Key, Policy: share, Cost: r.Cost, Known: &known})
	d.Now, d.Source = now/1000, ratelimit.FromShare
	if d.Allowed && r.Cost > 0 {
		sh.charge(r, t, now, s.memory.most)
	}
	if share != r.Policy {
		translate(r, share, &d)
	}
	return d
}

// translate makes the debts of shares into debts of the limits themselves, which tell
// the same: the share's tokens are those that remain and, if it was the share that
// denied the call, the wait is the share's. That may be longer than any debt tells, which
// is no more than the time in which the whole limit makes as many tokens as the call
// costs. A call that costs more than the share holds is told to come back when the share
// is full: the shared store may be back by then.
func translate(r *ratelimit.Request, share *ratelimit.Policy, d *ratelimit.Decision) {
	for i := range r.Policy.Len() {
		b, part := r.Policy.Bucket(i), share.Bucket(i)
		burst := b.Limit().Burst
		wait := part.RetryAfter(d.Debts[i], r.Cost)
		if d.Allowed || wait == 0 {
			d.Debts[i], _ = b.Cost(burst - min(part.Remaining(d.Debts[i]), burst))
			continue
		}
		room, ok := b.Cost(burst - r.Cost)
		if wait == ratelimit.Never {
			wait = part.Capacity().Duration()
		}
		if ok { // else no wait helps, wherever it is decided
			d.RetryAfter = max(d.RetryAfter, wait)
		}
		debt := b.Add(room, ratelimit.Debt{Micros: int64(min(wait, ratelimit.MaxRefill) / time.Microsecond)})
		if !ok || !b.Fits(debt) {
			debt = b.Capacity()
		}
		d.Debts[i] = debt
	}
}
