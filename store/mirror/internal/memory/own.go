package memory

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// own is what this node admitted alone in a bucket and has not handed over yet, less what the
// shared store may have charged. It is part of the unreported debt as well.
type own struct {
	tokens int
	last   int64 // when the last of them were admitted, on this node's clock
}

// spendAlone is spend for tokens that were admitted alone. charged reports that the shared store
// may have charged them. A shard that has too many own tokens hands over knowledge alone.
func (m *Memory) spendAlone(sh *shard, id id, b *store.Limit, n int, now int64, charged bool) {
	sh.spend(id, b, n, now)
	if n == 0 || b.Loan() || charged || !m.charges.Load() {
		return
	}
	if sh.own == nil || len(sh.own) >= sh.most {
		sh.own = make(owns)
	}
	sh.own[id] = own{sh.own[id].tokens + n, now}
}

// owns are what this node has to hand over, by bucket.
type owns map[id]own

// of reports whether any of it is of the buckets of a request.
func (all owns) of(r *store.Request, o *owners) bool {
	if len(all) > 0 {
		for i := range r.Limits {
			if all[o.of(&r.Limits[i])].tokens > 0 {
				return true
			}
		}
	}
	return false
}

// HandOver calls keep with a settlement for each bucket of a request in which this node admitted
// tokens alone, and forgets these. It charges no more than the bucket of the share owes: the rest
// has drained. token is the time in which the share gets one back.
//
// The settlement has the name of a hold that began when the last of them were admitted, so that a
// reset since then voids it. If the shared clock is not known, any reset does.
func (m *Memory) HandOver(r *store.Request, a *Attempt, keep func(t *store.Settlement, token int64)) {
	share := m.shares.of(r.Limits)
	sh := m.shard(&a.owners)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	// A memstore never fails with a policy.
	d, _ := m.local.Take(context.Background(), store.Request{Home: r.Home, Key: r.Key, Limits: share})
	for i := range r.Limits {
		id := a.owners.of(&r.Limits[i])
		o := sh.own[id]
		delete(sh.own, id)
		if o.tokens == 0 {
			continue
		}
		n := min(o.tokens, share[i].Burst()-share[i].Remaining(d.Debts[i]))
		last, _ := a.clock.At(o.last)
		t := store.Settlement{Home: r.Home, Key: r.Key, Limits: r.Limits[i : i+1 : i+1], Actual: n}
		t.Names[0] = gcra.Classes*(last+gcra.Short.Length()) + int64(gcra.Short)
		token, _ := share[i].Cost(1)
		keep(&t, int64(token.Duration()))
	}
}

// ShareDenies reports whether this node's share has no room for a request, and returns its denial.
func (m *Memory) ShareDenies(r *store.Request) (d store.Decision, denies bool) {
	if !m.charges.Load() || r.Cost <= 0 {
		return d, false
	}
	share := m.shares.of(r.Limits)
	d, _ = m.local.Take(context.Background(), store.Request{Home: r.Home, Key: r.Key, Limits: share})
	for i := range share {
		b := &share[i]
		denies = denies || !b.Loan() && b.Remaining(d.Debts[i])-d.Held[i] < least(r)
	}
	d.Allowed, d.Now, d.Source = false, m.clock.Now()/1000, store.FromShare
	translate(r, share, &d)
	return d, denies
}

// ShareSpends charges this node's share what the shared store admitted.
func (m *Memory) ShareSpends(r *store.Request, d *store.Decision) {
	if spent, _ := spends(r, d); m.charges.Load() && d.Allowed && spent > 0 {
		m.local.Settle(context.Background(), []store.Settlement{{Home: r.Home, Key: r.Key, Limits: m.shares.of(r.Limits), Actual: spent}})
	}
}
