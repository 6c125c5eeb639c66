package memstore

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// found is what a decision found of one limit's bucket. It and the methods below
// are of use under the lock of the shard only.
type found struct {
	slot    *slot     // nil: the key has no bucket of its own
	after   gcra.Debt // with the cost of the call
	clamped bool      // the debt was above the capacity
	shared  bool      // the debt is, or includes, that of an overflow bucket
}

// read finds the debts and decides.
func (s *Store) read(shard *shard, hash id, r *store.Request, now int64, found *[store.MaxLimits]found, d *store.Decision) {
	d.Allowed, d.Now = true, now
	for i := range len(r.Limits) {
		b := &r.Limits[i]
		f := &found[i]
		id := hash.id(b)
		var debt gcra.Debt
		if f.slot = shard.find(id); f.slot != nil {
			debt, f.clamped = b.DebtAt(f.slot.tat(), now)
			f.shared = f.slot.shared() && debt != gcra.Debt{}
		} else if s.overflow.owes(now) {
			debt = s.overflow.debt(b, id, now)
			f.shared = debt != gcra.Debt{}
		}
		if r.Known != nil {
			// What was known before a reset is so no more.
			if k := &r.Known[i]; k.Seen == 0 || k.Seen > s.resetAt.Load() {
				debt = b.Merge(debt, k.Debt, k.TAT, now)
			}
		}
		cost, ok := b.Cost(r.Cost)
		f.after = b.Add(debt, cost)
		d.Debts[i] = debt
		d.Allowed = d.Allowed && ok && b.Fits(f.after)
		d.Overflow = d.Overflow || f.shared
	}
}

// charge stores the debts with the cost of the call. New buckets come last, for
// they may move the others.
func (s *Store) charge(shard *shard, hash id, r *store.Request, found *[store.MaxLimits]found, d *store.Decision) {
	missing := false
	for i := range len(r.Limits) {
		f := &found[i]
		d.Debts[i] = f.after
		if f.slot != nil {
			shard.set(f.slot, r.Limits[i].TATAt(f.after, d.Now), f.shared)
		} else {
			missing = true
		}
	}
	if !missing {
		return
	}
	for i := range len(r.Limits) {
		f := &found[i]
		if f.slot != nil {
			continue
		}
		b := &r.Limits[i]
		id := hash.id(b)
		if !s.insert(shard, id, b.TATAt(f.after, d.Now), f.shared, d.Now) {
			s.overflow.charge(b, id, r.Cost, f.after, d.Now)
			d.Overflow = true
		}
	}
}

// clamp stores the debts that were clamped, and nothing else.
func (s *Store) clamp(shard *shard, r *store.Request, found *[store.MaxLimits]found, d *store.Decision) {
	for i := range len(r.Limits) {
		if f := &found[i]; f.clamped {
			shard.set(f.slot, r.Limits[i].TATAt(d.Debts[i], d.Now), f.shared)
		}
	}
}
