package memstore

import "github.com/keyrate/keyrate/ratelimit"

// A take is one decision under way, under the lock of its shard: read looks at
// all buckets and decides, write charges them.
type take struct {
	request  ratelimit.Request
	store    *Store
	n        int
	now      int64
	decision ratelimit.Decision
	found    [ratelimit.MaxLimits]found
}

// found is what read found of one limit's bucket.
type found struct {
	id      id
	slot    *slot          // nil: the key has no bucket of its own
	after   ratelimit.Debt // with the cost of the call
	clamped bool           // the debt was above the capacity
	shared  bool           // the debt is, or includes, that of an overflow bucket
}

// read finds the debts and decides.
func (t *take) read(shard *shard, hash id) {
	d := &t.decision
	d.Allowed, d.Now = true, t.now
	for i := range t.n {
		b := t.request.Policy.Bucket(i)
		f := &t.found[i]
		f.id = hash.id(b)
		f.slot = shard.find(f.id)
		var debt ratelimit.Debt
		if f.slot != nil {
			debt, f.clamped = b.DebtAt(f.slot.tat(), t.now)
			f.shared = f.slot.shared() && debt != ratelimit.Debt{}
		} else if t.store.overflow.owes(t.now) {
			debt = t.store.overflow.debt(b, f.id, t.now)
			f.shared = debt != ratelimit.Debt{}
		}
		if known := t.known(i); known != nil {
			debt = b.Merge(debt, *known, t.now)
		}
		d.Debts[i] = debt
		d.Overflow = d.Overflow || f.shared
		cost, ok := b.Cost(t.request.Cost)
		f.after = b.Add(debt, cost)
		d.Allowed = d.Allowed && ok && b.Fits(f.after)
	}
}

// known returns what the caller knows of limit i, unless a reset came after it.
func (t *take) known(i int) *ratelimit.Known {
	if t.request.Known == nil {
		return nil
	}
	k := &t.request.Known[i]
	if k.Seen != 0 && k.Seen <= t.store.resetAt.Load() {
		return nil
	}
	return k
}

// write charges the buckets if the call was admitted. Otherwise it stores what
// was clamped, and nothing else.
func (t *take) write(shard *shard) {
	d := &t.decision
	charge := d.Allowed && t.request.Cost > 0
	for i := range t.n {
		f := &t.found[i]
		if charge {
			d.Debts[i] = f.after
		}
		if f.slot != nil && (charge || f.clamped) {
			shard.set(f.slot, t.request.Policy.Bucket(i).TATAt(d.Debts[i], t.now), f.shared)
		}
	}
	if !charge {
		return
	}
	// New buckets come last: they may move the others.
	for i := range t.n {
		f := &t.found[i]
		if f.slot != nil {
			continue
		}
		b := t.request.Policy.Bucket(i)
		if !t.store.insert(shard, f.id, b.TATAt(f.after, t.now), f.shared, t.now) {
			t.store.overflow.charge(b, f.id, t.request.Cost, t.now)
			d.Overflow = true
		}
	}
}
