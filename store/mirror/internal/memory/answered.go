package memory

import "github.com/keyrate/keyrate/ratelimit"

// Answered takes in what the shared store answered, at an instant of this node's clock.
func (m *Memory) Answered(r *ratelimit.Request, a *Attempt, d *ratelimit.Decision, at int64) {
	if a.foreign {
		// The answer repeats what the request brought, be it true or not: it proves nothing, and
		// may have changed what was known.
		m.forget(a.id, r.Policy, 0)
		return
	}
	n := r.Policy.Len()
	sh := m.shard(a.id)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	// It may be older than a reset, or about buckets that keys share.
	void := sh.resets.since(a.id.key, a.Asked) || d.Overflow
	for i := range n {
		b := r.Policy.Bucket(i)
		id := a.id.of(b)
		slot := sh.find(id)
		sh.endOne(slot, a, i, r.Cost)
		if void {
			continue
		}
		answer := observe(b, d.Debts[i], a.Asked, at, d.Now)
		answer.uncharged = !d.Allowed || r.Cost == 0
		switch {
		case slot == nil:
			// A full bucket is worth remembering if it is one of several.
			if n > 1 || d.Debts[i] != (ratelimit.Debt{}) {
				sh.put(id, answer, a.Asked)
			}
		case slot.unreported:
			var cost ratelimit.Debt
			if d.Allowed {
				cost, _ = b.Cost(r.Cost)
			}
			slot.reconcile(b, answer, cost, a, i)
		case answer.replaces(&slot.observation):
			slot.replace(answer)
		}
	}
}
