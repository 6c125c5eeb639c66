package memory

import (
	"math"
	"slices"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A held is what this node holds of one bucket under one name: in the shared store, where it
// takes room in this node's share while that decides, or in the share.
//
// What is held in the share becomes an unreported debt when the shared store is asked again, or
// when it ends by its slot: the shared store does not know of it.
type held struct {
	limit *store.Limit
	name  int64
	n     int   // tokens
	until int64 // when it ends by itself, on this node's clock
	spent int64 // when it became a debt, on this node's clock; 0: it is none
}

// Names of what is held in the share are below those of any store: below a quarter of what an
// int64 can hold. The memstore's are at least -1.
const (
	localBase  = math.MinInt64 + 1
	localBelow = math.MinInt64 / 2
)

func localName(name int64) int64  { return localBase + 1 + name }
func storedName(name int64) int64 { return name - localBase - 1 }

// Local reports whether a name is one of this node's share.
func Local(name int64) bool { return name < localBelow }

// inFlight is the name of what requests in flight are about to hold of a loan.
const inFlight = 0

// longest is how long a hold of a class lasts at most, in nanoseconds.
func longest(c gcra.Class) int64 { return 2 * 1000 * c.Length() }

// heldBy returns what a request holds of its ith limit, since now.
func heldBy(r *store.Request, i, n int, now int64, c gcra.Class) held {
	b := &r.Limits[i]
	if b.Loan() {
		n = 1
	}
	return held{limit: b, name: r.Hold.Names[i], n: n, until: now + longest(c)}
}

// hold adds n tokens to what is held of a bucket under a name.
func (sh *shard) hold(bucket id, h held, now int64) {
	if sh.held == nil {
		sh.held = make(map[id][]held)
	}
	if len(sh.held) > sh.sweepAt {
		for other := range sh.held {
			sh.expire(other, now)
		}
		sh.sweepAt = 2*len(sh.held) + 64
	}
	sh.expire(bucket, now)
	all := sh.held[bucket]
	for i := range all {
		if all[i].name != h.name {
			continue
		}
		if all[i].spent != 0 {
			h.spent = all[i].spent
			sh.spend(bucket, h.limit, h.n, now)
		}
		all[i].n, all[i].until, all[i].spent = all[i].n+h.n, h.until, h.spent
		return
	}
	sh.held[bucket] = append(all, h)
}

// release takes n tokens out of what is held of a bucket under a name. It returns what is
// known of these; false if nothing is.
func (sh *shard) release(id id, name int64, n int) (h held, ok bool) {
	all := sh.held[id]
	for i := range all {
		if all[i].name != name {
			continue
		}
		h = all[i]
		h.n = min(n, h.n)
		if all[i].n -= h.n; all[i].n == 0 {
			sh.keep(id, slices.Delete(all, i, i+1))
		}
		return h, true
	}
	return h, false
}

func (sh *shard) keep(id id, all []held) {
	if len(all) == 0 {
		delete(sh.held, id)
		return
	}
	sh.held[id] = all
}

// expire forgets what has ended by itself. What of it was held in the share becomes a debt.
func (sh *shard) expire(id id, now int64) {
	all := sh.held[id]
	if len(all) == 0 {
		return
	}
	kept := all[:0]
	for _, h := range all {
		switch {
		case now < h.until:
			kept = append(kept, h)
		case Local(h.name) && h.spent == 0:
			sh.spend(id, h.limit, h.n, now)
		}
	}
	clear(all[len(kept):])
	sh.keep(id, kept)
}

// spendHeld makes what is held in the share an unreported debt.
func (sh *shard) spendHeld(id id, now int64) {
	sh.expire(id, now)
	for i := range sh.held[id] {
		if h := &sh.held[id][i]; Local(h.name) && h.spent == 0 && !h.limit.Loan() {
			h.spent = now
			sh.spend(id, h.limit, h.n, now)
		}
	}
}

// tokens returns how many tokens of a bucket this node holds, and how many of these in the
// shared store.
func (sh *shard) tokens(id id, now int64) (all, away int) {
	if len(sh.held) == 0 {
		return 0, 0
	}
	sh.expire(id, now)
	for _, h := range sh.held[id] {
		if all += h.n; !Local(h.name) {
			away += h.n
		}
	}
	return all, away
}
