package memory

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// spend adds n tokens that this node admitted to what is known of a bucket, which becomes
// unreported. The sum stays a lower bound of what the shared store would hold, had it been
// there: of two histories of a bucket, the one with more requests never has the smaller debt.
//
// The shared store may have charged a request whose attempt failed. It is added nevertheless:
// a client whose answer was lost may pay twice, but gets no more than the limit.
func (sh *shard) spend(id id, b *store.Limit, n int, now int64) {
	if n == 0 || b.Loan() {
		return
	}
	cost, ok := b.Cost(n)
	if !ok {
		cost = b.Capacity()
	}
	if slot := sh.find(id); slot != nil {
		slot.add(b, cost, now)
		return
	}
	o := observe(b, cost, now, now, 0)
	o.unreported = true
	sh.put(id, o, now)
}

// add adds cost to the debt of the slot, which becomes unreported.
func (s *slot) add(b *store.Limit, cost gcra.Debt, now int64) {
	if !s.of(b) {
		s.convert(b, now)
	}
	debt, exact := s.atLeast(b, now)
	if debt != (gcra.Debt{}) && (exact || s.unreported) {
		// It keeps its date, so that a reset since then wins over all of it.
		s.owe(b.Add(s.debt(), cost))
		s.unreported = true
		return
	}
	if debt = b.Add(s.atMost(b, now), cost); !b.Fits(debt) {
		debt = b.Capacity()
	}
	o := observe(b, debt, now, now, 0) // dated by the clock of the part
	o.unreported, o.shown = true, s.shown
	s.replace(o)
}

func (s *slot) owe(d gcra.Debt) { s.micros, s.frac = d.Micros, d.Frac }

// debts fills in a.known with the known debts of the key's buckets, as debts of this node's
// share. They include the attempts in flight only where these leave no room for the request,
// beside what this node holds: whether they are admitted is not known. It returns how many
// tokens of each bucket the node holds in the shared store.
func (sh *shard) debts(r *store.Request, share []store.Limit, a *Attempt, now int64) (away [store.MaxLimits]int) {
	for i := range r.Limits {
		a.known[i] = store.Known{}
		b := &r.Limits[i]
		var held int
		held, away[i] = sh.tokens(a.owners.of(b), now)
		if b.Loan() {
			continue
		}
		slot := sh.find(a.owners.of(b))
		if slot == nil {
			continue
		}
		debt := slot.atMost(b, now)
		if slot.inFlight > 0 {
			if most := withInFlight(b, debt, slot.inFlight); !b.Fits(most) {
				debt = b.Capacity()
			} else if b.Remaining(most)-held < least(r) {
				debt = most
			}
		}
		if debt.Frac != 0 && share[i].Denominator() != b.Denominator() {
			debt = gcra.Debt{Micros: debt.Micros + 1}
		}
		a.known[i].Debt = debt
	}
	return away
}
