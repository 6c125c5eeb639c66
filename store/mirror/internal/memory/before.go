package memory

import (
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// staleAfter is how long an observation may deny: that long a reset or a raised limit on
// another node may go unnoticed.
const staleAfter = time.Second

// maxWaits is how often a request waits for other attempts.
const maxWaits = 8

// Begin prepares an attempt for a request whose key belongs to the part of the shared store
// that has this clock.
func (m *Memory) Begin(r *store.Request, a *Attempt, clock *clock.Shared) {
	a.clock, a.owners, a.waits, a.foreign, a.read, a.counted = clock, m.owners(r.Home, r.Key), 0, r.Known != nil, false, 0
}

// A Verdict says what to do with a request.
type Verdict int

// The verdicts.
const (
	Ask    Verdict = iota // ask the shared store, with Request.Known
	Deny                  // deny it, as the shared store would
	Wait                  // wait for Attempt.Ended, then call Before again
	Read                  // ask the shared store for the debts alone, then call Before again
	Owes                  // call HandOver, send what it keeps, then call Before again
	Settle                // send Request.Release by itself, then call Before again without
)

// Before says what to do with a request, and fills in r.Known with what is known of the
// key's buckets. If the verdict is Ask, the attempt counts as in flight until it ends in
// [Memory.Answered], [Memory.Alone] or [Memory.Abandoned]. If it is Deny, d is the denial.
//
// A request waits if the attempts in flight, once admitted, would leave no room for it. So
// of many requests for the last token of a key, one asks.
//
// The shared store ignores what is known of a bucket that owes something under another
// interval, and rescales it. So a request that does not fit an unreported debt asks for the
// debts first, once, unless the shared store is known to have the bucket under this interval.
//
// What this node has to hand over is charged before a request hands over knowledge, since it is
// part: or it would count twice. A request that costs nothing stores no knowledge.
//
// Settlements that a request brings need a trip, so it asks. The shared store makes them before the
// request hands over knowledge, and takes the larger of both debts. So they are sent first where that
// has to be the sum, since the shared store has not stored what is known.
//
// What is held proves nothing, since it may be given back at any time: only debts deny. So loans
// deny nothing here, and are not observed.
//
// A denial needs an observation of each limit, so that it shows for each what the shared
// store would. None of them may need clamping: then the shared store has something to write.
func (m *Memory) Before(r *store.Request, a *Attempt, d *store.Decision) Verdict {
	a.Asked = m.clock.Now()
	if a.foreign {
		return Ask
	}
	all, denied := true, false
	var crowded *slot // whose attempts in flight leave no room
	mustWait := false // however often it has waited
	mustRead := false
	mustSettle := false
	sh := m.shard(&a.owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if stores(r) && sh.own.of(r, &a.owners) {
		return Owes
	}
	need := least(r)
	for i := range r.Limits {
		b := &r.Limits[i]
		if b.Loan() {
			continue
		}
		id := a.owners.of(b)
		if len(sh.held) > 0 {
			sh.spendHeld(id, a.Asked)
		}
		slot := sh.find(id)
		if slot == nil {
			all = false
			continue
		}
		debt, exact := slot.atLeast(b, a.Asked)
		d.Debts[i] = debt
		d.Now = max(d.Now, slot.at+slot.age(a.Asked))
		all = all && exact && !slot.unreported && a.Asked-slot.asked <= int64(staleAfter)
		cost, ok := b.Cost(need)
		denied = denied || !ok || !b.Fits(b.Add(debt, cost))
		if slot.unreported && !(slot.shown && slot.of(b)) {
			mustRead = mustRead || !b.Fits(b.Add(slot.atMost(b, a.Asked), cost))
		}
		mustSettle = mustSettle || slot.unreported || slot.echoed
		switch {
		case slot.inFlight == 0:
		case slot.unreported:
			// Only an attempt that is alone in flight can hand over the whole unreported debt.
			crowded, mustWait = slot, true
		case !mustWait:
			if most := withInFlight(b, slot.atMost(b, a.Asked), slot.inFlight); !b.Fits(b.Add(most, cost)) {
				// After maxWaits one attempt more may be in flight than can be admitted, so that
				// many cheap requests do not hold up an expensive one; but not all of them.
				crowded, mustWait = slot, !b.Fits(most)
			}
		}
	}
	switch {
	case mustSettle && len(r.Release) > 0:
		return Settle
	case all && denied && len(r.Release) == 0:
		d.Source = store.FromKnowledge
		return Deny
	case crowded != nil && r.Cost > 0 && (mustWait || a.waits < maxWaits):
		a.waits++
		a.Ended = sh.wait(crowded)
		return Wait
	case mustRead && r.Cost > 0 && !a.read:
		a.read = true
		return Read
	}
	sh.start(r, a)
	return Ask
}

// stores reports whether the shared store stores what a request hands over, if it admits it.
func stores(r *store.Request) bool { return r.Cost > 0 || r.Hold != nil && r.Hold.Lease > 0 }

// least returns how many tokens a request needs at least.
func least(r *store.Request) int {
	if r.Least > 0 {
		return r.Least
	}
	return r.Cost
}

// spends returns how many tokens an admitted request spends of each rate, and holds of each.
func spends(r *store.Request, d *store.Decision) (spent, held int) {
	n := r.Cost
	if r.Least > 0 {
		n = d.Granted
	}
	switch {
	case r.Hold == nil:
		return n, 0
	case r.Hold.Spend:
		return n, r.Hold.Leased
	default:
		return 0, n
	}
}
