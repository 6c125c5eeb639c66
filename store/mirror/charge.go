package mirror

import "github.com/keyrate/keyrate/ratelimit"

// charge adds a call to what is known of the key's buckets, if it was admitted here, and
// takes it off those that are flying: both at once, or another would slip in between.
//
// The sum stays a lower bound of what the shared store would hold, had it been there: for
// of two histories of a bucket, the one with more calls in it, at the same instants,
// never has the smaller debt; and those of the other nodes are missing here.
//
// A call that failed may have been charged all the same, and an answer since may tell of
// that. It is added nevertheless: whoever lost an answer may so pay for a call twice,
// but nobody gets more than the limit for it.
func (s *Store) charge(r *ratelimit.Request, t *trip, admitted bool) {
	if !admitted && t.counted == 0 {
		return
	}
	sh := s.memory.shard(t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := s.now()
	for i := range r.Policy.Len() {
		b := r.Policy.Bucket(i)
		id := t.hash.id(b)
		cost, _ := b.Cost(r.Cost)
		slot := sh.find(id)
		sh.land(slot, t, i, r.Cost)
		if !admitted || cost == (ratelimit.Debt{}) {
			continue
		}
		if slot == nil {
			seen := sightOf(b, cost, now, now, 0)
			seen.alone = true
			sh.put(id, seen, now, s.memory.most)
			continue
		}
		slot.add(b, cost, now)
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

// owed returns what is known of the debts of the key's buckets. Those others that are
// flying are part of it only where they leave no room, so that the call is refused: what
// becomes of them is not known.
func (s *Store) owed(r *ratelimit.Request, t *trip, now int64) (debts [ratelimit.MaxLimits]ratelimit.Debt) {
	sh := s.memory.shard(t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range r.Policy.Len() {
		b := r.Policy.Bucket(i)
		slot := sh.find(t.hash.id(b))
		if slot == nil {
			continue
		}
		flying := slot.flying
		if t.counted&(1<<i) != 0 {
			flying -= min(flying, uint32(r.Cost))
		}
		debts[i] = slot.mostAt(b, now)
		cost, _ := b.Cost(r.Cost)
		if most := expected(b, debts[i], flying); flying > 0 && !b.Fits(b.Add(most, cost)) {
			if debts[i] = most; !b.Fits(most) {
				debts[i] = b.Capacity()
			}
		}
	}
	return debts
}
