package memory

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Answered takes in what the shared store answered, at an instant of this node's clock.
func (m *Memory) Answered(r *store.Request, a *Attempt, d *store.Decision, at int64) {
	n := len(r.Limits)
	sh := m.shard(&a.owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	var spent, held int
	if d.Allowed {
		spent, held = spends(r, d)
	}
	for i := range n {
		b := &r.Limits[i]
		id := a.owners.of(b)
		if r.Hold != nil && r.Hold.Names[i] != 0 && d.Allowed {
			sh.hold(id, heldBy(r, i, held, at, gcra.Short), at)
		}
		found := sh.find(id)
		sh.endOne(id, found, a, i, r)
		if b.Loan() {
			continue
		}
		// It may be older than a reset, or about a bucket that stands for several.
		if a.foreign || d.Overflow || sh.resets.since(id.owner, a.Asked) {
			// The answer repeats foreign knowledge, be it true or not, and may have changed what
			// was known. Only an unreported debt is known to nothing else.
			if a.foreign && found != nil && !found.unreported {
				sh.fill(found, slot{})
			}
			continue
		}
		answer := observe(b, d.Debts[i], a.Asked, at, d.Now)
		answer.shown = true
		// A denial repeats what it was handed, and stores nothing.
		answer.echoed = spent+held == 0 && found != nil && (found.unreported || found.echoed)
		switch {
		case found == nil:
			// A full bucket is worth remembering if it is one of several.
			if n > 1 || d.Debts[i] != (gcra.Debt{}) {
				sh.put(id, answer, a.Asked)
			}
		case found.unreported:
			cost, _ := b.Cost(spent)
			found.reconcile(b, answer, cost, a, i)
		case found.echoed && answer.asked < found.answered: // its question knew less
			cost, _ := b.Cost(spent)
			found.settled(b, answer, cost, a.clock)
		case answer.replaces(&found.observation):
			found.replace(answer)
		}
	}
}

// minReset is by how much less than its question knew an answer must owe to prove a reset,
// in microseconds. A little less is normal where clocks do not run alike.
const minReset = 10_000

// reconcile takes in the answer to the ith limit of an attempt while the slot's debt is
// unreported. It adds what the shared store charged, cost, unless the unreported debt began
// with a later answer. Adding, and not taking the larger of both debts, keeps one node to its
// limit: the shared store did not know of the requests that were admitted here.
//
// The debt is unreported no more with an answer that owes as much, even if all attempts in
// flight are admitted; with the answer to an attempt that handed over the whole of it alone in
// flight; and with one that owes less than its question knew, which proves a reset. That
// proves nothing if the shared store may have had the bucket under another interval: then it
// ignored what it was handed, and is handed it again with the next request.
func (s *slot) reconcile(b *store.Limit, answer observation, cost gcra.Debt, a *Attempt, i int) {
	less := answer.less(b, &a.known[i])
	switch {
	case !s.of(b): // the limit was changed, and no question has handed it over
		s.add(b, cost, answer.answered)
	case less && !s.shown:
		s.add(b, cost, answer.answered)
	case a.carried[i] == s.carried(), less:
		s.replace(answer)
		return
	case s.repaidAt(a.clock) <= answer.at:
		if s.inFlight > 0 {
			// The attempts in flight may have been charged on top of the repaid debt. A new
			// unreported debt starts with this answer, undated, so that their costs are added.
			answer.asked, answer.at, answer.unreported = answer.answered, 0, true
		}
		s.replace(answer)
		return
	case s.at > 0 && answer.at < s.at: // the unreported debt began with a later answer
	default:
		// The whole cost, though it may have been charged before the unreported debt began and
		// be repaid in part: there may have been other debts then, which are not known here.
		s.owe(b.Add(s.debt(), cost))
	}
	s.shown = true
	if answer.covers(s, b) {
		s.replace(answer)
	}
}

// less reports whether an answer owes less than its question knew, as far as the bucket has
// room for that.
func (o *observation) less(b *store.Limit, k *store.Known) bool {
	if k.TAT.Den == 0 {
		return o.micros+(o.answered-o.asked)/1000+minReset < k.Debt.Micros
	}
	return o.micros+minReset < min(k.TAT.Micros-o.at, b.Capacity().Micros)
}

// covers reports whether an answer owes as much as the slot and its attempts in flight.
// They are compared on the shared clock if the slot is dated by it.
func (o *observation) covers(s *slot, b *store.Limit) bool {
	more, less := o.more(s)
	return !less && more >= 1000*withInFlight(b, gcra.Debt{}, s.inFlight).Micros
}

// owes reports whether an answer owes as much as the slot.
func (o *observation) owes(s *slot) bool {
	more, less := o.more(s)
	return !less && more >= 0
}

// more returns by how much an answer owes more than the slot, in nanoseconds. If that is 0, less
// reports whether it owes less all the same, by a fraction.
func (o *observation) more(s *slot) (more int64, less bool) {
	if s.at == 0 {
		return o.fullAt() - s.fullAt(), false
	}
	more = 1000 * (o.at + o.micros - s.at - s.micros)
	return more, more == 0 && o.frac < s.frac
}
