package memstore

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Take implements [store.Store]. It returns an error only for a request without limits, for
// one that needs a Hold and has none, and for the zero Store. It heeds neither context nor
// timeout: a caller that gave up is still charged. It makes the settlements of r.Release also if
// it returns an error.
func (s *Store) Take(ctx context.Context, r store.Request) (d store.Decision, err error) {
	if len(r.Release) > 0 {
		s.Settle(ctx, r.Release)
	}
	if err := s.usable(r.Limits); err != nil {
		return d, err
	}
	hash := s.hash(r.Key)
	owners := owners{hash, hash}
	if r.Home != "" {
		owners = s.ownersIn(r.Home, hash)
	}
	shard := s.shard(owners.key)
	now := s.now()
	shard.mu.Lock()
	d.Now, d.Allowed = shard.advance(now), true
	if r.Hold != nil || r.Least != 0 {
		err = s.takeParts(shard, &owners, &r, &d)
		shard.mu.Unlock()
		return d, err
	}
	var all [store.MaxLimits]bucket
	buckets := all[:len(r.Limits)]
	for i := range buckets {
		b := &buckets[i]
		b.limit, b.id = &r.Limits[i], owners.id(&r.Limits[i])
		if b.slot = shard.find(b.id); !b.plain(d.Now) {
			err = s.takeParts(shard, &owners, &r, &d)
			shard.mu.Unlock()
			return d, err
		}
		var known *store.Known
		if r.Known != nil {
			known = &r.Known[i]
		}
		d.Allowed = s.read(b, known, r.Cost, d.Now) && d.Allowed
		d.Overflow = d.Overflow || b.shared
	}
	missing := 0
	for i := range buckets {
		b := &buckets[i]
		if b.slot != nil {
			s.settle(shard, b, d.Allowed, r.Cost, d.Now)
		} else {
			missing++
		}
		d.Debts[i] = b.debt
	}
	for i := 0; missing > 0; i++ { // new buckets come last: they may move the others
		if b := &buckets[i]; b.slot == nil {
			d.Overflow = s.settle(shard, b, d.Allowed, r.Cost, d.Now) || d.Overflow
			d.Debts[i] = b.debt
			missing--
		}
	}
	shard.mu.Unlock()
	return d, nil
}

// takeParts is takeWhole for the limits of a request.
func (s *Store) takeParts(shard *shard, owners *owners, r *store.Request, d *store.Decision) error {
	if len(r.Limits) == 1 {
		l := &r.Limits[0]
		return s.takeWhole(shard, []part{{limit: l, id: owners.id(l)}}, r, d)
	}
	var parts [store.MaxLimits]part
	for i := range r.Limits {
		parts[i].limit, parts[i].id = &r.Limits[i], owners.id(&r.Limits[i])
	}
	return s.takeWhole(shard, parts[:len(r.Limits)], r, d)
}

// TakeOne implements [store.SingleTaker]. Nothing can be taken of a loan.
func (s *Store) TakeOne(key string, l *store.Limit, n int) (debt gcra.Debt, held int, allowed bool) {
	hash := s.hash(key)
	shard := s.shard(hash)
	now := s.now()
	shard.mu.Lock()
	now = shard.advance(now)
	b := bucket{limit: l, id: hash.of(l)}
	if b.slot = shard.find(b.id); !b.plain(now) {
		d := store.Decision{Now: now}
		_ = s.takeWhole(shard, []part{{limit: l, id: b.id}}, &store.Request{Cost: n}, &d)
		shard.mu.Unlock()
		return d.Debts[0], d.Held[0], d.Allowed
	}
	allowed = s.read(&b, nil, n, now)
	s.settle(shard, &b, allowed, n, now)
	shard.mu.Unlock()
	return b.debt, 0, allowed
}

// Self implements [store.SingleTaker]. The zero Store has only Take, which returns an
// error.
func (s *Store) Self() store.Store {
	if s.shards == nil {
		return nil
	}
	return s
}

// A bucket is the bucket of one limit during a decision, which holds the shard's lock.
type bucket struct {
	limit   *store.Limit
	id      id
	slot    *slot     // nil: the key has none of its own
	debt    gcra.Debt // as found, then as it is left
	after   gcra.Debt // with the cost of the call
	clamped bool      // the debt was above the capacity
	shared  bool      // the debt is, or includes, that of an overflow bucket
}

// plain reports whether the bucket is a TAT, of the same interval as the limit. Any other is
// decided by takeWhole.
func (b *bucket) plain(now int64) bool {
	return b.limit.Index() != 0 && (b.slot == nil || b.slot.of(b.limit, now))
}

// read reads the debt of a bucket, or takes what the caller knows of it if that is more,
// and reports whether there is room for n tokens.
func (s *Store) read(b *bucket, known *store.Known, n int, now int64) bool {
	l := b.limit
	if b.slot != nil {
		b.debt, b.clamped = l.DebtIn(b.slot.micros-now, b.slot.frac&^sharedBit)
		b.shared = b.slot.shared() && b.debt != gcra.Debt{}
	} else if s.overflow.owes(now) {
		b.debt = s.overflow.debt(l, b.id, now)
		b.shared = b.debt != gcra.Debt{}
	}
	if known != nil && (known.Seen == 0 || s.resets.since(b.id, known.Seen) == 0) {
		b.debt = l.Merge(b.debt, known.Debt, known.TAT, now)
	}
	cost, ok := l.Cost(n)
	b.after = l.Add(b.debt, cost)
	return ok && l.Fits(b.after)
}

// settle charges n tokens if the call is allowed, or stores a debt that was clamped. It
// reports whether an overflow bucket was charged.
func (s *Store) settle(shard *shard, b *bucket, allowed bool, n int, now int64) (overflow bool) {
	switch {
	case allowed && n > 0:
		b.debt = b.after
	case !b.clamped:
		return false
	}
	tat := b.limit.TATAt(b.debt, now)
	if b.slot != nil {
		shard.write(b.slot, tat, b.limit.Index(), b.shared)
		return false
	}
	if s.insert(shard, b.id, tat, b.limit.Index(), b.shared, now) {
		return false
	}
	s.overflow.charge(b.limit, b.id, n, b.debt, now)
	return true
}
