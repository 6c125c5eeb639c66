package mirror

import (
	"hash/maphash"
	"math/bits"
	"sync"

	"github.com/keyrate/keyrate/ratelimit"
)

// memory is a table of sights, by key and limit. Since forgetting is always safe, it is
// no more than sets of four slots: in a set that is full the smallest debt gives way,
// be it the newcomer's. So a flood of made-up keys washes out no debt above its own.
//
// It is no memstore, which adds to a debt: an answer of the shared store replaces what
// was known, be it more or less.
//
// It is cut into shards, by the hash of the key, so that all limits of a key are under
// one lock. A shard begins small and doubles, up to its bound.
type memory struct {
	seeds  [2]maphash.Seed
	shift  uint // takes a hash to the number of its shard
	shards []shard
	most   int // slots of a shard
}

const (
	ways       = 4    // slots of a set
	shardSlots = 4096 // of a shard at most: 256 KB are copied in some 50 microseconds
	firstSlots = 64
)

// An id stands for a key and a limit: a keyed 128-bit hash, of which the first half is
// the key's alone.
type id struct{ key, limit uint64 }

func (hash id) id(b *ratelimit.Bucket) id { return id{hash.key, hash.limit ^ b.NameHash()} }

// A slot takes 64 bytes and holds no pointer.
type slot struct {
	id id
	sight
}

type shard struct {
	mu      sync.Mutex
	slots   []slot
	landing map[id]chan struct{} // of the slots for which somebody waits
	reset   int64                // when a key of it was last reset, on this node's clock
	_       [16]byte             // a cache line each
}

func newMemory(maxKeys int) *memory {
	// 64 shards at least, where that leaves each a few sets: so callers on different
	// cores seldom want the same lock.
	n := 1 << min(max(bits.Len(uint(maxKeys-1)/shardSlots), min(bits.Len(uint(maxKeys-1)/firstSlots), 6)), 16)
	return &memory{
		seeds:  [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		shift:  uint(64 - bits.TrailingZeros(uint(n))),
		shards: make([]shard, n),
		most:   max(ways, 1<<bits.Len(uint(max(maxKeys/n, 1)-1))),
	}
}

func (m *memory) hash(key string) id {
	return id{maphash.String(m.seeds[0], key), maphash.String(m.seeds[1], key)}
}

func (m *memory) shard(hash id) *shard { return &m.shards[hash.key>>m.shift] }

// forget drops what is known of the key's buckets. resetAt, if not 0, is an instant
// before which nothing must have been asked that is learned from now on: an answer
// from before a reset may still be on its way. Only a reset ends a ledger: nobody else
// knows of that.
func (m *memory) forget(hash id, p *ratelimit.Policy, resetAt int64) {
	sh := m.shard(hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.reset = max(sh.reset, resetAt)
	for i := range p.Len() {
		if slot := sh.find(hash.id(p.Bucket(i))); slot != nil && (resetAt != 0 || !slot.alone) {
			sh.empty(slot)
		}
	}
}

// set returns the slots in which a bucket may be.
func (sh *shard) set(id id) []slot {
	if len(sh.slots) == 0 {
		return nil
	}
	at := int(id.limit) & (len(sh.slots) - 1) &^ (ways - 1)
	return sh.slots[at : at+ways : at+ways]
}

// find returns the slot of a bucket, or nil.
func (sh *shard) find(id id) *slot {
	set := sh.set(id)
	for i := range set {
		if set[i].id == id && set[i].den != 0 {
			return &set[i]
		}
	}
	return nil
}

// put stores what was seen of a bucket that the shard does not have, if there is
// nothing of more use in its set, and returns its slot; else nil.
func (sh *shard) put(id id, s sight, now int64, most int) *slot {
	for {
		var least *slot
		set := sh.set(id)
		for i := range set {
			switch slot := &set[i]; {
			case slot.den == 0 || slot.fullAt() <= now && slot.flying == 0:
				sh.empty(slot)
				slot.id, slot.sight = id, s
				return slot
			case least == nil || slot.fullAt() < least.fullAt():
				least = slot
			}
		}
		if sh.grow(most) {
			continue
		}
		if least.fullAt() < s.fullAt() {
			sh.empty(least)
			least.id, least.sight = id, s
			return least
		}
		return nil
	}
}

// see makes it what is known of the bucket.
func (s *slot) see(seen sight) {
	seen.flying, seen.waited = s.flying, s.waited
	s.sight = seen
}

// empty makes room for another bucket.
func (sh *shard) empty(slot *slot) {
	sh.wake(slot)
	slot.id, slot.sight = id{}, sight{}
}

// land takes a call that failed off those that are flying.
func (m *memory) land(r *ratelimit.Request, t *trip) {
	if t.counted == 0 {
		return
	}
	sh := m.shard(t.hash)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.landAll(r, t)
}

func (sh *shard) landAll(r *ratelimit.Request, t *trip) {
	if t.counted == 0 {
		return
	}
	for i := range r.Policy.Len() {
		sh.land(sh.find(t.hash.id(r.Policy.Bucket(i))), t, i, r.Cost)
	}
	t.counted = 0
}

// land takes a call off those that are flying, of the ith limit.
func (sh *shard) land(slot *slot, t *trip, i, cost int) {
	if slot != nil && t.counted&(1<<i) != 0 {
		slot.flying -= min(slot.flying, uint32(cost)) // another's, if the slot was emptied since
		sh.wake(slot)
	}
}

// wait returns what is closed when one of those lands that are flying.
func (sh *shard) wait(slot *slot) <-chan struct{} {
	if !slot.waited {
		if sh.landing == nil {
			sh.landing = make(map[id]chan struct{})
		}
		slot.waited = true
		sh.landing[slot.id] = make(chan struct{})
	}
	return sh.landing[slot.id]
}

// wake lets those go on that wait.
func (sh *shard) wake(slot *slot) {
	if slot.waited {
		slot.waited = false
		close(sh.landing[slot.id])
		delete(sh.landing, slot.id)
	}
}

// grow doubles the shard, unless that is more than most. Each set becomes two.
func (sh *shard) grow(most int) bool {
	n := max(2*len(sh.slots), min(firstSlots, most))
	if n > most {
		return false
	}
	old := sh.slots
	sh.slots = make([]slot, n)
	for i := range old {
		if old[i].den == 0 {
			continue
		}
		set := sh.set(old[i].id)
		for j := range set {
			if set[j].den == 0 {
				set[j] = old[i]
				break
			}
		}
	}
	return true
}
