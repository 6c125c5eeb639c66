package memstore

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// Self implements [store.SingleTaker]. The zero Store has only Take, which returns an
// error.
func (s *Store) Self() store.Store {
	if s.shards == nil {
		return nil
	}
	return s
}

// TakeOne implements [store.SingleTaker]. It decides what is decided most often,
// a key with a single limit whose bucket is there and is its own, and leaves the
// rest to Take.
func (s *Store) TakeOne(key string, b *store.Limit, n int) (debt gcra.Debt, allowed, ok bool) {
	cost, possible := b.Cost(n)
	hash := s.hash(key)
	shard := s.shard(hash)
	now := s.now()
	shard.mu.Lock()
	now = shard.advance(now)
	slot := shard.find(hash.id(b))
	if slot == nil || slot.shared() {
		shard.mu.Unlock()
		return gcra.Debt{}, false, false
	}
	debt, write := b.DebtAt(slot.tat(), now)
	if after := b.Add(debt, cost); possible && b.Fits(after) {
		debt, allowed = after, true
		write = write || n > 0
	}
	if write {
		shard.set(slot, b.TATAt(debt, now), false)
	}
	shard.mu.Unlock()
	return debt, allowed, true
}
