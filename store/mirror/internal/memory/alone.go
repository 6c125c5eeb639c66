package memory

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Alone decides a request by this node's share of the limits and by what is known. If it
// admits it, it adds it to what is known under the same lock: no other request slips in
// between. If there was an attempt, it has ended; charged reports that the shared store may have
// charged it.
func (m *Memory) Alone(r *store.Request, a *Attempt, charged bool) store.Decision {
	share := m.shares.of(r.Limits)
	sh := m.shard(&a.owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.end(r, a)
	now := m.clock.Now()
	away := sh.debts(r, share, a, now)
	part := store.Request{Home: r.Home, Key: r.Key, Limits: share, Cost: r.Cost, Least: r.Least, Known: &a.known}
	d := m.take(&part, r.Hold, &away)
	d.Now, d.Source = now/1000, store.FromShare
	if d.Allowed && r.Cost > 0 {
		spent, held := spends(r, &d)
		for i := range r.Limits {
			b := &r.Limits[i]
			m.spendAlone(sh, a.owners.of(b), b, spent, now, charged)
			if r.Hold != nil && r.Hold.Names[i] != 0 {
				sh.hold(a.owners.of(b), heldBy(r, i, held, now, gcra.Short), now)
			}
		}
	}
	if &share[0] != &r.Limits[0] {
		translate(r, share, &d)
	}
	return d
}

// take decides a request by the buckets of the shares, less what the node holds in the shared
// store. The buckets ignore what is known under another interval than theirs, so that decides
// here. It fills in the names of what is held.
func (m *Memory) take(r *store.Request, hold *store.Hold, away *[store.MaxLimits]int) (d store.Decision) {
	plain := hold == nil && r.Least == 0 && *away == [store.MaxLimits]int{}
	allowed, granted, need := r.Cost >= 0, r.Cost, least(r)
	asked := *r
	asked.Least = 0
	if !plain { // what is held there is not known here
		asked.Cost = 0
		d, _ = m.local.Take(context.Background(), asked)
	}
	for i := range r.Limits {
		b := &r.Limits[i]
		if b.Loan() {
			allowed = allowed && (r.Cost <= 0 || d.Held[i]+away[i] < b.Burst())
			continue
		}
		debt := b.Merge(d.Debts[i], r.Known[i].Debt, gcra.TAT{}, 0)
		granted = min(granted, max(b.Remaining(debt)-d.Held[i]-away[i], 0))
	}
	allowed = allowed && granted >= need
	if allowed || plain {
		if asked.Cost = granted; !allowed {
			asked.Cost = 0
		}
		if hold != nil {
			asked.Hold = &store.Hold{Spend: hold.Spend}
		}
		// A memstore never waits, and with a policy it never fails.
		d, _ = m.local.Take(context.Background(), asked)
	}
	if d.Allowed = d.Allowed && allowed; d.Allowed && r.Least > 0 {
		d.Granted = granted
	}
	for i := range r.Limits {
		d.Held[i] += away[i]
		if !d.Allowed {
			d.Debts[i] = r.Limits[i].Merge(d.Debts[i], r.Known[i].Debt, gcra.TAT{}, 0)
		} else if asked.Hold != nil && asked.Hold.Names[i] != 0 {
			hold.Names[i] = localName(asked.Hold.Names[i])
		}
	}
	return d
}

// translate turns the debts of shares into debts of the limits that mean the same: as many
// tokens remain as in the share and, if the share denied the request, the wait is the
// share's. That can be longer than any debt shows, hence Decision.RetryAfter. A request that
// costs more than the share holds waits until the share is full: the shared store may be
// back by then.
func translate(r *store.Request, share []store.Limit, d *store.Decision) {
	for i := range r.Limits {
		b, part := &r.Limits[i], &share[i]
		burst := b.Burst()
		if b.Loan() {
			d.Held[i] += burst - part.Burst()
			continue
		}
		wait := part.RetryAfter(d.Debts[i], least(r))
		if d.Allowed || wait == 0 {
			d.Debts[i], _ = b.Cost(burst - min(part.Remaining(d.Debts[i]), burst))
			continue
		}
		room, ok := b.Cost(burst - least(r))
		if wait == gcra.Never {
			wait = part.Capacity().Duration()
		}
		if ok { // else no wait helps, wherever it is decided
			d.RetryAfter = max(d.RetryAfter, wait)
		}
		debt := b.Add(room, gcra.Debt{Micros: int64(min(wait, gcra.MaxRefill) / time.Microsecond)})
		if !ok || !b.Fits(debt) {
			debt = b.Capacity()
		}
		d.Debts[i] = debt
	}
}
