package memory

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// unknownName is a name that no store has given: its slot ends in the year 2112. A renewal of
// it holds anew.
const unknownName = 1<<53 - 2

// SettleHere settles what of t is held in this node's share, and returns what is left of t for
// the shared store; false if nothing is. If up is true, a renewal of a loan that is held in
// the share is left as well: it holds the loan anew in the shared store.
func (m *Memory) SettleHere(t *store.Settlement, up bool) (rest store.Settlement, ok bool) {
	rest = *t
	local, localRate, otherRate := false, false, false
	for i := range t.Limits {
		b := &t.Limits[i]
		switch {
		case !Local(t.Names[i]):
			ok = ok || t.Names[i] != 0
			otherRate = otherRate || t.Names[i] != 0 && !b.Loan()
			continue
		case t.Renew && up && b.Loan():
			rest.Names[i], ok = unknownName, true
		default:
			rest.Names[i] = 0
		}
		local, localRate = true, localRate || !b.Loan()
	}
	if !local {
		return rest, true
	}
	actual := 0
	if localRate {
		actual = t.Actual
		if !otherRate {
			rest.Actual = 0
		}
	}
	m.settleHere(t, actual)
	return rest, ok || rest.Actual > 0 && !t.Renew
}

func (m *Memory) settleHere(t *store.Settlement, actual int) {
	owners := m.owners(t.Home, t.Key)
	share := m.shares.of(t.Limits)
	sh := m.shard(&owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	all := []store.Settlement{*t}
	here := &all[0]
	here.Limits, here.Actual = share, actual
	for i := range t.Limits {
		if here.Names[i] = 0; Local(t.Names[i]) {
			here.Names[i] = storedName(t.Names[i])
		}
	}
	m.local.Settle(context.Background(), all) // a memstore never fails with a policy
	now := m.clock.Now()
	t.Now, t.Lost = now/1000, here.Lost
	for i := range t.Limits {
		b := &t.Limits[i]
		id := owners.of(b)
		n := t.Held
		if b.Loan() {
			n = 1
		} else {
			t.Debts[i], _ = b.Cost(b.Burst() - min(share[i].Remaining(here.Debts[i]), b.Burst()))
		}
		switch {
		case t.Names[i] == 0:
			if !t.Renew {
				m.spendAlone(sh, id, b, actual, now, false)
			}
		case !Local(t.Names[i]):
		case t.Renew:
			sh.renew(id, b, t.Names[i], localName(here.Names[i]), n, now)
			t.Names[i] = localName(here.Names[i])
		default:
			sh.expire(id, now)
			m.spendAlone(sh, id, b, max(actual-sh.paid(id, b, t.Names[i], n, now), 0), now, false)
		}
	}
}

// renew gives what is held under a name another one, and a long life.
func (sh *shard) renew(id id, b *store.Limit, from, to int64, n int, now int64) {
	sh.expire(id, now)
	h, ok := sh.release(id, from, n)
	if !ok && Local(from) {
		h.spent = now // by its slot
	}
	h.limit, h.name, h.n, h.until = b, to, n, now+longest(gcra.Long)
	sh.hold(id, h, now)
}

// paid takes n tokens out of what is held in the share under a name, and returns how many of
// them are part of the unreported debt and have not drained since.
func (sh *shard) paid(id id, b *store.Limit, name int64, n int, now int64) int {
	h, ok := sh.release(id, name, n)
	switch {
	case !ok:
		return n // its slot has ended
	case h.spent == 0:
		return 0
	}
	debt, _ := b.Cost(min(n, b.Burst()))
	debt.Micros -= (now - h.spent + 999) / 1000
	if debt.Micros < 0 {
		return 0
	}
	room := b.Capacity() // as many tokens are in the debt as remain of its rest
	room.Micros -= debt.Micros
	if room.Frac < debt.Frac {
		room.Micros, room.Frac = room.Micros-1, room.Frac+b.Denominator()
	}
	room.Frac -= debt.Frac
	return b.Remaining(room)
}

// Moved ends what the settlement t holds in this node's share and has renewed in the shared
// store as rest, whose names t has from now on.
func (m *Memory) Moved(t, rest *store.Settlement) {
	gone := store.Settlement{Home: t.Home, Key: t.Key, Limits: t.Limits, Held: t.Held}
	local := false
	for i := range t.Limits {
		if Local(rest.Names[i]) || rest.Names[i] == 0 {
			continue
		}
		if Local(t.Names[i]) {
			gone.Names[i], local = t.Names[i], true
		}
		t.Names[i] = rest.Names[i]
	}
	if local {
		m.settleHere(&gone, 0)
	}
}

// Settled takes in the answer to a settlement, whose names were those of sent. If counted is
// true, it was kept: what was spent is part of the unreported debt already.
func (m *Memory) Settled(t, sent *store.Settlement, counted bool, asked, at int64, c *clock.Shared) {
	owners := m.owners(t.Home, t.Key)
	sh := m.shard(&owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range t.Limits {
		b := &t.Limits[i]
		id := owners.of(b)
		n := t.Held
		if b.Loan() {
			n = 1
		}
		switch {
		case sent.Names[i] == 0, counted:
		case t.Renew:
			sh.renew(id, b, sent.Names[i], t.Names[i], n, at)
		default:
			sh.release(id, sent.Names[i], n)
		}
		if b.Loan() || sh.resets.since(id.owner, asked) {
			continue
		}
		answer := observe(b, t.Debts[i], asked, at, t.Now)
		answer.shown = true
		var cost gcra.Debt
		if !t.Renew && !counted {
			cost, _ = b.Cost(min(t.Actual, b.Burst()))
		}
		if found := sh.find(id); found != nil {
			found.settled(b, answer, cost, c)
		} else if t.Debts[i] != (gcra.Debt{}) {
			sh.put(id, answer, asked)
		}
	}
}

// settled takes in the answer to a settlement of cost. The shared store may have charged less of
// a hold that had ended before. And a settlement hands over nothing: an answer that owes less
// than is known proves nothing, and one that owes more may lack what only this node knows. The
// same holds for the answer to a request whose question was sent before an echo was answered.
func (s *slot) settled(b *store.Limit, answer observation, cost gcra.Debt, c *clock.Shared) {
	switch {
	case s.unreported:
		s.reconcile(b, answer, cost, &Attempt{clock: c}, 0)
		return
	case !s.of(b), s.repaidAt(c) <= answer.at, !s.echoed && s.exceeds(b, answer.asked):
		s.replace(answer)
		return
	case !answer.replaces(&s.observation):
		return
	case s.echoed:
		s.owe(b.Add(s.debt(), cost))
	}
	if answer.owes(s) {
		s.replace(answer)
	}
}

// Unsettled takes in that the shared store has not answered a settlement. What was spent is
// an unreported debt. What was to be renewed is held on.
func (m *Memory) Unsettled(t *store.Settlement) {
	owners := m.owners(t.Home, t.Key)
	sh := m.shard(&owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := m.clock.Now()
	t.Now = now / 1000
	for i := range t.Limits {
		b := &t.Limits[i]
		id := owners.of(b)
		n := t.Held
		if b.Loan() {
			n = 1
		}
		switch {
		case !t.Renew:
			sh.release(id, t.Names[i], n)
			sh.spend(id, b, t.Actual, now)
		case t.Names[i] != 0 && t.Names[i] != unknownName:
			sh.renew(id, b, t.Names[i], t.Names[i], n, now)
		}
		if slot := sh.find(id); slot != nil && !b.Loan() {
			t.Debts[i] = slot.atMost(b, now)
		}
	}
}
