package mirror

import (
	"math"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// staleAfter is how long what was seen may refuse a call: for so long a reset or a
// raised limit on another node may go unnoticed.
const staleAfter = time.Second

// What is known of a key says what becomes of a call.
type verdict int

const (
	ask    verdict = iota // the shared store, and take what is known along
	refuse                // it, as the shared store would
	follow                // those that are on their way: if they are admitted, it will be refused
)

// recall fills in r.Known, what is known of the key's buckets, and tells what becomes of the
// call. One that goes is counted among those flying; of one that is refused, d is the
// denial; one that follows waits for landing, and asks again: so, of many callers who
// want the last token, one makes the trip.
//
// A denial is given only if all of the policy's limits are known, so that it tells of
// each what the shared store would; and if none of them has to be clamped, for then the
// shared store has something to write.
func (s *Store) recall(r *ratelimit.Request, t *trip, patient bool, d *ratelimit.Decision) (v verdict, landing <-chan struct{}) {
	r.Known = nil
	all, denied := true, false
	var slots [ratelimit.MaxLimits]*slot
	var crowded *slot
	firm := false // it follows, however often it has
	sh := s.memory.shard(t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for i := range r.Policy.Len() {
		t.known[i] = ratelimit.Known{}
		b := r.Policy.Bucket(i)
		slot := sh.find(t.hash.id(b))
		if slot == nil {
			all = false
			continue
		}
		slots[i] = slot
		debt, exact := slot.debtAt(b, t.sent)
		d.Debts[i] = debt
		d.Now = max(d.Now, slot.seen+slot.age(t.sent))
		all = all && exact && !slot.alone && t.sent-slot.sent <= int64(staleAfter)
		cost, ok := b.Cost(r.Cost)
		denied = denied || !ok || !b.Fits(b.Add(debt, cost))
		switch {
		case slot.flying == 0:
		case slot.alone:
			// The shared store can be told the whole of the ledger only by a call that is alone
			// on its way: then the ledger ends.
			crowded, firm = slot, true
		case !firm:
			if most := expected(b, slot.mostAt(b, t.sent), slot.flying); !b.Fits(b.Add(most, cost)) {
				// With time one more goes than may be admitted, so that a dear call is not kept
				// waiting by many cheap ones; but not all.
				crowded, firm = slot, !b.Fits(most)
			}
		}
		if slot.tell(b, &t.known[i], t.sent, &t.part.clock); t.known[i].Debt != (ratelimit.Debt{}) {
			r.Known = &t.known
		}
	}
	switch {
	case all && denied:
		d.Source = ratelimit.FromKnowledge
		return refuse, nil
	case crowded != nil && r.Cost > 0 && (patient || firm):
		return follow, sh.wait(crowded)
	}
	if r.Cost > 0 {
		sh.send(r, t, &slots, s.memory.most)
	}
	return ask, nil
}

// send counts a call among those that are flying.
func (sh *shard) send(r *ratelimit.Request, t *trip, slots *[ratelimit.MaxLimits]*slot, most int) {
	moved := false
	for i := range r.Policy.Len() {
		b := r.Policy.Bucket(i)
		slot := slots[i]
		if moved && slot != nil {
			slot = sh.find(t.hash.id(b))
		}
		if slot == nil {
			// Nothing was seen, and too long ago to conclude anything from it.
			nothing := sight{den: b.Denominator(), sent: t.sent - int64(staleAfter) - 1}
			slot = sh.put(t.hash.id(b), nothing, t.sent, most)
			moved = true
		}
		if slot == nil {
			continue
		}
		t.took[i] = ledger{}
		if slot.alone && slot.flying == 0 {
			t.took[i] = ledger{slot.debt(), slot.sent}
		}
		if uint64(slot.flying)+uint64(r.Cost) <= math.MaxUint32 {
			slot.flying += uint32(r.Cost)
			t.counted |= 1 << i
		}
	}
}

// expected is a debt and what those add that are flying, if all of them are admitted.
func expected(b *ratelimit.Bucket, debt ratelimit.Debt, flying uint32) ratelimit.Debt {
	cost, ok := b.Cost(int(flying))
	if !ok {
		return b.Capacity()
	}
	return b.Add(debt, cost)
}
