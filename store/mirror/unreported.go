package mirror

import "github.com/keyrate/keyrate/ratelimit"

// charge adds a call that was admitted here to what is known of the key's buckets.
//
// The sum stays a lower bound of what the shared store would hold, had it been there: for
// of two histories of a bucket, the one with more calls in it, at the same instants,
// never has the smaller debt; and those of the other nodes are missing here.
//
// A call that failed may have been charged all the same, and an answer since may tell of
// that. It is added nevertheless: whoever lost an answer may so pay for a call twice,
// but nobody gets more than the limit for it.
func (sh *shard) charge(r *ratelimit.Request, t *trip, now int64, most int) {
	for i := range r.Policy.Len() {
		b := r.Policy.Bucket(i)
		id := t.hash.id(b)
		cost, _ := b.Cost(r.Cost)
		if slot := sh.find(id); slot != nil {
			slot.add(b, cost, now)
			continue
		}
		seen := sightOf(b, cost, now, now, 0)
		seen.alone = true
		sh.put(id, seen, now, most)
	}
}

// add makes the slot a ledger of calls admitted here, and enters one.
func (s *slot) add(b *ratelimit.Bucket, cost ratelimit.Debt, now int64) {
	debt, exact := s.debtAt(b, now)
	if s.den == b.Denominator() && debt != (ratelimit.Debt{}) && (exact || s.alone) {
		// It stays dated as it was, so that a reset since then wins over all of it.
		sum := b.Add(s.debt(), cost)
		s.micros, s.frac, s.alone = sum.Micros, sum.Frac, true
		return
	}
	if debt = b.Add(s.mostAt(b, now), cost); !b.Fits(debt) {
		debt = b.Capacity()
	}
	seen := sightOf(b, debt, now, now, 0) // dated by the clock of the part
	seen.alone = true
	s.see(seen)
}

// owed returns what is known of the debts of the key's buckets. Those that are flying
// are part of it only where they leave no room, so that the call is refused: what becomes
// of them is not known.
func (sh *shard) owed(r *ratelimit.Request, t *trip, now int64) (debts [ratelimit.MaxLimits]ratelimit.Debt) {
	for i := range r.Policy.Len() {
		b := r.Policy.Bucket(i)
		slot := sh.find(t.hash.id(b))
		if slot == nil {
			continue
		}
		if debts[i] = slot.mostAt(b, now); slot.flying == 0 {
			continue
		}
		cost, _ := b.Cost(r.Cost)
		if most := expected(b, debts[i], slot.flying); !b.Fits(b.Add(most, cost)) {
			if debts[i] = most; !b.Fits(most) {
				debts[i] = b.Capacity()
			}
		}
	}
	return debts
}
