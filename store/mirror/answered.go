package mirror

import (
	"math"

	"github.com/keyrate/keyrate/ratelimit"
)

// learn remembers what the shared store answered.
func (s *Store) learn(r *ratelimit.Request, t *trip, d *ratelimit.Decision) {
	came := s.now()
	s.saw(t.part, d.Now, t.sent, came)
	n := r.Policy.Len()
	sh := s.memory.shard(t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	// It may be from before a reset, or of buckets that keys share.
	void := t.sent < sh.reset || d.Overflow
	for i := range n {
		b := r.Policy.Bucket(i)
		id := t.hash.id(b)
		slot := sh.find(id)
		sh.land(slot, t, i, r.Cost)
		if void {
			continue
		}
		seen := sightOf(b, d.Debts[i], t.sent, came, d.Now)
		seen.told = !d.Allowed || r.Cost == 0
		switch {
		case slot == nil:
			// That a bucket is full is worth knowing of one of several.
			if n > 1 || d.Debts[i] != (ratelimit.Debt{}) {
				sh.put(id, seen, t.sent, s.memory.most)
			}
		case slot.alone:
			var cost ratelimit.Debt
			if d.Allowed {
				cost, _ = b.Cost(r.Cost)
			}
			slot.settle(b, seen, cost, t, i)
		case seen.outdates(&slot.sight):
			slot.see(seen)
		}
	}
}

// settle takes in an answer while the slot is a ledger of calls admitted here: the
// shared store charged the answered call cost, and that is added, unless the debt with
// which the ledger began includes it. Adding, where the larger of both debts would be
// less, is what keeps the calls of one node to its limit: those decided here, and those
// that the shared store decided meanwhile, without knowing of them.
//
// The ledger ends with an answer that owes as much, whatever becomes of those that are
// flying; or that came to a question which took the whole of it along, and alone; and
// with one that owes less than its question knew, for then there was a reset.
func (s *slot) settle(b *ratelimit.Bucket, seen sight, cost ratelimit.Debt, t *trip, i int) {
	known := t.known[i].TAT
	switch {
	case s.den != b.Denominator(): // the limit was changed
		s.add(b, cost, seen.came)
	case t.took[i] == ledger{s.debt(), s.sent}, known.Den != 0 && seen.seen+seen.micros+leastReset < known.Micros:
		s.see(seen)
		return
	case s.overAt(&t.part.clock) <= seen.seen: // nothing of it was owed any more
		if s.flying > 0 {
			// But those that are flying may have been charged on top of it. It begins anew with
			// this answer, and undated, so that all they cost is added.
			seen.sent, seen.seen, seen.alone = seen.came, 0, true
		}
		s.see(seen)
		return
	case s.seen > 0 && seen.seen < s.seen: // it began with a later answer
	default:
		// All of it, though it may have been charged before the ledger began, and be over in
		// part: there may have been other debts then, of which nothing is known here.
		sum := b.Add(s.debt(), cost)
		s.micros, s.frac = sum.Micros, sum.Frac
	}
	if seen.covers(s, b) {
		s.see(seen)
	}
}

// overAt returns when nothing of the ledger will be owed any more, on the clock of the
// part, in microseconds; the largest number if that is not known.
func (s *slot) overAt(c *clock) int64 {
	over := s.seen
	if over == 0 {
		if _, over = c.at(s.sent); over == 0 {
			return math.MaxInt64
		}
	}
	return over + s.micros + int64(min(s.frac, 1))
}

// leastReset is by how much less an answer must owe than its question knew, in
// microseconds: by a little less, where the clocks do not run alike.
const leastReset = 10_000

// covers tells whether an answer owes as much as the ledger, and the calls that are
// flying. What both were seen at on the shared clock is compared, if it is known.
func (s *sight) covers(l *slot, b *ratelimit.Bucket) bool {
	least := s.fullAt() - l.fullAt()
	if l.seen > 0 {
		least = 1000 * (s.seen + s.micros - l.seen - l.micros)
		if least == 0 && s.frac < l.frac {
			return false
		}
	}
	return least >= 1000*expected(b, ratelimit.Debt{}, l.flying).Micros
}
