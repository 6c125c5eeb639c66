package memory

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Alone decides a request by this node's share of the limits and by what is known. If it
// admits it, it adds it to what is known under the same lock: no other request slips in
// between. If there was an attempt, it has ended.
func (m *Memory) Alone(r *store.Request, a *Attempt) store.Decision {
	share := m.shares.of(r.Limits)
	sh := m.shard(a.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.end(r, a)
	now := m.clock.Now()
	sh.debts(r, share, a, now)
	d := m.take(store.Request{Key: r.Key, Limits: share, Cost: r.Cost, Known: &a.known})
	d.Now, d.Source = now/1000, store.FromShare
	if d.Allowed && r.Cost > 0 {
		sh.charge(r, a, now)
	}
	if m.shares.nodes > 1 {
		translate(r, share, &d)
	}
	return d
}

// take decides a request by the buckets of the shares. They ignore what is known under another
// interval than theirs, so that decides here.
func (m *Memory) take(r store.Request) store.Decision {
	denied := false
	for i := range r.Limits {
		b := &r.Limits[i]
		cost, ok := b.Cost(r.Cost)
		denied = denied || !ok || !b.Fits(b.Add(b.Merge(gcra.Debt{}, r.Known[i].Debt, gcra.TAT{}, 0), cost))
	}
	if denied {
		r.Cost = 0
	}
	// A memstore never waits, and with a policy it never fails.
	d, _ := m.local.Take(context.Background(), r)
	if denied {
		d.Allowed = false
		for i := range r.Limits {
			d.Debts[i] = r.Limits[i].Merge(d.Debts[i], r.Known[i].Debt, gcra.TAT{}, 0)
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
		wait := part.RetryAfter(d.Debts[i], r.Cost)
		if d.Allowed || wait == 0 {
			d.Debts[i], _ = b.Cost(burst - min(part.Remaining(d.Debts[i]), burst))
			continue
		}
		room, ok := b.Cost(burst - r.Cost)
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
