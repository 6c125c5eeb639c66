package memstore

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Buckets that are more than a TAT are kept whole: something of them is held, they owe more
// than their capacity, or their limit has changed. Few are at any time, so they are kept
// beside the table; the slot says where, and when the bucket is full.

type wholes struct {
	buckets []gcra.Bucket
	free    []uint32 // where in buckets there is none
}

// whole returns the bucket of a slot that is kept whole.
func (sh *shard) whole(slot *slot) *gcra.Bucket { return &sh.wholes.buckets[slot.frac&^sharedBit] }

// setWhole makes b the bucket of a slot.
func (sh *shard) setWhole(slot *slot, b *gcra.Bucket, full int64, shared bool) {
	at := slot.frac &^ sharedBit
	if !slot.isWhole() {
		at = sh.newWhole()
	}
	sh.wholes.buckets[at] = *b
	slot.micros, slot.frac, slot.kind = full, at, usedBit|wholeBit
	if shared {
		slot.frac |= sharedBit
	}
	sh.earliest = min(sh.earliest, full)
}

// newWhole returns a place for a bucket that is kept whole.
func (sh *shard) newWhole() uint32 {
	if sh.wholes == nil {
		sh.wholes = new(wholes)
	}
	w := sh.wholes
	if n := len(w.free); n > 0 {
		at := w.free[n-1]
		w.free = w.free[:n-1]
		return at
	}
	w.buckets = append(w.buckets, gcra.Bucket{})
	return uint32(len(w.buckets) - 1)
}

// drop forgets what a slot has beside the table.
func (sh *shard) drop(slot *slot) {
	if !slot.isWhole() {
		return
	}
	w := sh.wholes
	w.free = append(w.free, slot.frac&^sharedBit)
	slot.kind = usedBit
	if len(w.free) == len(w.buckets) {
		w.buckets, w.free = w.buckets[:0], w.free[:0]
		if cap(w.buckets) > keptWholes {
			sh.wholes = nil
		}
	}
}

// keptWholes is for how many wholes a shard keeps the memory.
const keptWholes = 64

// A part is a bucket during an operation on wholes, which holds the shard's lock.
type part struct {
	limit  *store.Limit
	id     id
	slot   *slot // until a bucket is inserted
	whole  gcra.Bucket
	spent  gcra.Debt
	stale  bool // must be stored
	same   bool // what is known of it counts
	shared bool
}

// open reads the bucket of p.limit as it is at now.
func (s *Store) open(shard *shard, p *part, now int64) {
	slot := shard.find(p.id)
	p.slot = slot
	switch {
	case slot == nil && s.overflow.owes(now) && !p.limit.Loan():
		p.whole.TAT = p.limit.TATAt(s.overflow.debt(p.limit, p.id, now), now)
	case slot == nil:
	case slot.isWhole():
		p.whole = *shard.whole(slot)
	default:
		p.whole.TAT = slot.tat()
	}
	p.spent, p.stale, p.same = p.whole.Open(&p.limit.Rate, now)
	p.shared = (slot == nil || slot.shared()) && p.spent != gcra.Debt{}
}

// keep stores the bucket. It returns false if there is no room for it.
func (s *Store) keep(shard *shard, p *part, now int64) bool {
	full := p.whole.FullAt()
	slot := p.slot
	if slot == nil {
		slot = shard.find(p.id)
	}
	if slot == nil {
		if full <= now {
			return true
		}
		if !s.insert(shard, p.id, gcra.TAT{Micros: full}, 0, p.shared, now) {
			return false
		}
		slot = shard.find(p.id)
	}
	if p.whole.Plain() && p.limit.Index() != 0 {
		shard.set(slot, p.whole.TAT, p.limit.Index(), p.shared)
	} else {
		shard.setWhole(slot, &p.whole, full, p.shared)
	}
	return true
}

// takeWhole is Take for parts that are not just TATs, and for requests that hold tokens or
// accept less than they ask for.
func (s *Store) takeWhole(shard *shard, parts []part, r *store.Request, d *store.Decision) error {
	now := d.Now
	several := len(parts) > 1
	if r.Hold != nil {
		r.Hold.Names, r.Hold.Leased = [store.MaxLimits]int64{}, 0
	}
	granted, free := r.Cost, true // of rates, and of loans
	for i := range parts {
		p := &parts[i]
		if p.limit.Loan() {
			if r.Hold == nil && r.Cost > 0 {
				return errNoHold
			}
			s.open(shard, p, now)
			free = free && (r.Cost <= 0 || p.whole.Held() < p.limit.Burst() && s.claim(shard, p, now))
			continue
		}
		s.open(shard, p, now)
		if r.Known != nil && p.same {
			if k := &r.Known[i]; k.Seen == 0 || s.resets.since(p.id, k.Seen) == 0 {
				p.spent = p.limit.Merge(p.spent, k.Debt, k.TAT, now)
			}
		}
		granted = min(granted, max(p.whole.Room(&p.limit.Rate, p.spent), 0))
	}
	least := r.Cost
	if r.Least > 0 {
		least = r.Least
	}
	if d.Allowed = free && r.Cost >= 0 && granted >= least; d.Allowed && r.Least > 0 {
		d.Granted = granted
	}
	leased := 0
	if d.Allowed && r.Hold != nil && r.Hold.Lease > 0 {
		leased = s.lease(shard, parts, r.Hold, granted, now)
		r.Hold.Leased = leased
	}
	for i := range parts {
		p := &parts[i]
		if several { // another bucket may have been inserted
			p.slot = nil
		}
		switch {
		case d.Allowed && granted+leased > 0:
			s.give(shard, p, granted, i, r.Hold, now)
		case p.stale:
			p.whole.Spend(&p.limit.Rate, p.spent, now)
			s.keep(shard, p, now)
		}
		d.Debts[i], d.Held[i] = p.spent, p.whole.Held()
		d.Overflow = d.Overflow || p.shared
	}
	return nil
}

// lease returns how many tokens a call that spends n holds beside them under all limits.
func (s *Store) lease(shard *shard, parts []part, hold *store.Hold, n int, now int64) int {
	if !hold.Spend {
		return 0
	}
	leased := hold.Lease
	for i := range parts {
		p := &parts[i]
		if p.limit.Loan() {
			return 0
		}
		leased = min(leased, p.whole.Leasable(&p.limit.Rate, p.spent, n))
	}
	for i := range parts {
		if leased == 0 || !s.claim(shard, &parts[i], now) {
			return 0
		}
	}
	return leased
}

// claim makes sure that there is room for the bucket of what is lent or leased: there are no
// overflow buckets for that. Until now + 1, no other bucket takes its place.
func (s *Store) claim(shard *shard, p *part, now int64) bool {
	claimed := gcra.TAT{Micros: now + 1}
	switch slot := shard.find(p.id); {
	case slot == nil && !s.insert(shard, p.id, claimed, 0, false, now):
		p.shared = true
		return false
	case slot != nil && slot.fullAt() <= now:
		shard.set(slot, claimed, 0, false)
	}
	return true
}

// give spends or holds n tokens of the ith part.
func (s *Store) give(shard *shard, p *part, n, i int, hold *store.Hold, now int64) {
	l := p.limit
	if hold != nil && (l.Loan() || !hold.Spend) {
		if l.Loan() {
			n = 1
		}
		p.whole.Spend(&l.Rate, p.spent, now)
		hold.Names[i] = p.whole.Hold(n, now)
		if s.keep(shard, p, now) {
			return
		}
		p.whole.Slots = [gcra.Classes]gcra.Slot{}
		hold.Names[i] = spentAtOnce
	}
	cost, _ := l.Cost(n)
	p.spent = l.Add(p.spent, cost)
	p.whole.Spend(&l.Rate, p.spent, now)
	if hold != nil && hold.Leased > 0 {
		hold.Names[i] = p.whole.Hold(hold.Leased, now)
	}
	if !s.keep(shard, p, now) {
		p.shared = true
		s.overflow.charge(l, p.id, n, p.spent, now)
	}
}

// spentAtOnce is the name of what could not be held since the store is full: it was spent.
const spentAtOnce = -1
