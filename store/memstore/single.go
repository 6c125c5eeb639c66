package memstore

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// HoldOne implements [store.SingleHolder].
func (s *Store) HoldOne(key string, l *store.Limit, n int) (name int64, debt gcra.Debt, held int, allowed bool) {
	hash := s.hash(key)
	shard := s.shard(hash)
	now := s.now()
	shard.mu.Lock()
	now = shard.advance(now)
	id := hash.of(l)
	slot := shard.find(id)
	if slot == nil || slot.shared() || n <= 0 {
		var hold store.Hold
		d := store.Decision{Now: now}
		_ = s.takeWhole(shard, []part{{limit: l, id: id}}, &store.Request{Cost: n, Hold: &hold}, &d)
		shard.mu.Unlock()
		return hold.Names[0], d.Debts[0], d.Held[0], d.Allowed
	}
	b := shard.bucket(slot)
	spent, stale, _ := b.Open(&l.Rate, now)
	n = l.Tokens(n)
	held = b.Held()
	if allowed = l.Remaining(spent)-held >= n; allowed {
		name = b.Hold(n, now)
		held += n
	}
	if allowed || stale {
		shard.put(slot, &b, l)
	}
	shard.mu.Unlock()
	return name, spent, held, allowed
}

// SettleOne implements [store.SingleHolder].
func (s *Store) SettleOne(key string, l *store.Limit, name int64, n, actual int) (lost int) {
	hash := s.hash(key)
	shard := s.shard(hash)
	now := s.now()
	shard.mu.Lock()
	now = shard.advance(now)
	id := hash.of(l)
	slot := shard.find(id)
	if slot == nil || slot.shared() || name == spentAtOnce {
		t := store.Settlement{Names: [store.MaxLimits]int64{name}, Held: n, Actual: actual}
		s.settlePart(shard, &part{limit: l, id: id}, &t, 0, now)
		shard.mu.Unlock()
		return t.Lost
	}
	b := shard.bucket(slot)
	spent, _, _ := b.Open(&l.Rate, now)
	n, actual = settled(l, n, actual)
	_, lost = b.Settle(&l.Rate, spent, name, n, actual, s.resets.since(id, gcra.Began(name)), now)
	shard.put(slot, &b, l)
	shard.mu.Unlock()
	return lost
}

// bucket returns the bucket of a slot. It is a copy: a denial leaves the bucket as it was.
func (sh *shard) bucket(slot *slot) gcra.Bucket {
	if slot.isWhole() {
		return *sh.whole(slot)
	}
	return gcra.Bucket{TAT: slot.tat()}
}

// put stores the bucket of a slot after it has changed.
func (sh *shard) put(slot *slot, b *gcra.Bucket, l *store.Limit) {
	if b.Plain() && l.Index() != 0 {
		sh.set(slot, b.TAT, l.Index(), false)
	} else {
		sh.setWhole(slot, b, b.FullAt(), false)
	}
}
