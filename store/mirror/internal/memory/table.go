package memory

import (
	"hash/maphash"
	"math/bits"
	"sync"

	"github.com/keyrate/keyrate/store"
)

// A table holds one observation for each bucket, by key and limit. Since forgetting is
// always safe, it is no more than sets of four slots. In a set that is full the smallest
// debt gives way, even if it is the new one: so a flood of made-up keys displaces no debt
// above its own.
//
// The hash of the key's home, or of the key, selects a shard, so that all buckets of a request are
// under one lock. A
// shard starts small and doubles, up to its bound.
type table struct {
	seeds  [2]maphash.Seed
	shift  uint // takes a hash to the number of its shard
	shards []shard
}

const (
	setSlots   = 4
	shardSlots = 4096 // of a shard at most: 256 KB are copied in about 50 microseconds
	firstSlots = 64
)

// An id stands for a bucket: its owner, a key or a home, and its limit. It is a keyed 128-bit
// hash whose first half depends on the owner alone.
type id struct{ owner, limit uint64 }

// owners are the hashes of the two that can own a bucket: a key, and its home. They are the
// same for a key without a home.
type owners struct{ key, home id }

// of returns the id of the bucket of limit b.
func (o *owners) of(b *store.Limit) id {
	hash := o.key
	if b.Shared {
		hash = o.home
	}
	return id{hash.owner, hash.limit ^ b.NameHash()}
}

// A slot takes 64 bytes and holds no pointer.
type slot struct {
	id id
	observation
}

type shard struct {
	mu     sync.Mutex
	slots  []slot
	ends   map[id]chan struct{} // of awaited slots; closed when an attempt ends
	most   int                  // slots
	resets resets

	held    map[id][]held // what this node holds, by bucket
	sweepAt int           // look at all of held when it has more buckets
	own     owns          // what it has to hand over
	_       [48]byte      // whole cache lines
}

func newTable(maxKeys int) table {
	// At least 64 shards, where that leaves each a few sets: callers on different cores
	// then rarely want the same lock.
	n := 1 << min(max(bits.Len(uint(maxKeys-1)/shardSlots), min(bits.Len(uint(maxKeys-1)/firstSlots), 6)), 16)
	t := table{
		seeds:  [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		shift:  uint(64 - bits.TrailingZeros(uint(n))),
		shards: make([]shard, n),
	}
	most := max(setSlots, 1<<bits.Len(uint(max(maxKeys/n, 1)-1)))
	for i := range t.shards {
		t.shards[i].most = most
	}
	return t
}

func (t *table) owners(home, key string) owners {
	own := id{maphash.String(t.seeds[0], key), maphash.String(t.seeds[1], key)}
	if home == "" {
		return owners{own, own}
	}
	h := id{maphash.String(t.seeds[0], home), maphash.String(t.seeds[1], home)}
	// The shard is that of the home, and another home has another bucket of this key.
	own.owner = h.owner>>t.shift<<t.shift | own.owner>>(64-t.shift)
	own.limit ^= bits.RotateLeft64(h.limit, 32)
	h.limit = ^h.limit // no key of this text
	return owners{own, h}
}

func (t *table) shard(o *owners) *shard { return &t.shards[o.key.owner>>t.shift] }

// set returns the slots in which a bucket may be.
func (sh *shard) set(id id) []slot {
	if len(sh.slots) == 0 {
		return nil
	}
	at := int(id.limit) & (len(sh.slots) - 1) &^ (setSlots - 1)
	return sh.slots[at : at+setSlots : at+setSlots]
}

// find returns the slot of a bucket, or nil.
func (sh *shard) find(id id) *slot {
	set := sh.set(id)
	for i := range set {
		if set[i].id == id && !set[i].empty() {
			return &set[i]
		}
	}
	return nil
}

// put stores the observation of a bucket that the shard does not have, and returns its
// slot; nil if all others in its set owe more.
func (sh *shard) put(id id, o observation, now int64) *slot {
	for {
		var least *slot
		set := sh.set(id)
		for i := range set {
			switch at := &set[i]; {
			case at.empty() || at.fullAt() <= now && at.inFlight == 0:
				return sh.fill(at, slot{id, o})
			case least == nil || at.fullAt() < least.fullAt():
				least = at
			}
		}
		switch {
		case sh.grow():
		case least.fullAt() >= o.fullAt():
			return nil
		default:
			return sh.fill(least, slot{id, o})
		}
	}
}

// fill replaces what is in a slot.
func (sh *shard) fill(at *slot, s slot) *slot {
	sh.wake(at)
	*at = s
	return at
}

// replace makes o the observation of the slot.
func (s *slot) replace(o observation) {
	o.inFlight, o.awaited = s.inFlight, s.awaited
	s.observation = o
}

// grow doubles the shard, up to its bound. Each set becomes two.
func (sh *shard) grow() bool {
	n := max(2*len(sh.slots), min(firstSlots, sh.most))
	if n > sh.most {
		return false
	}
	old := sh.slots
	sh.slots = make([]slot, n)
	for i := range old {
		set := sh.set(old[i].id)
		for j := range set {
			if set[j].empty() {
				set[j] = old[i]
				break
			}
		}
	}
	return true
}

// wait returns a channel that is closed when an attempt of the slot ends.
func (sh *shard) wait(slot *slot) <-chan struct{} {
	if !slot.awaited {
		if sh.ends == nil {
			sh.ends = make(map[id]chan struct{})
		}
		slot.awaited = true
		sh.ends[slot.id] = make(chan struct{})
	}
	return sh.ends[slot.id]
}

// wake lets the requests continue that wait for an attempt of the slot.
func (sh *shard) wake(slot *slot) {
	if slot.awaited {
		slot.awaited = false
		close(sh.ends[slot.id])
		delete(sh.ends, slot.id)
	}
}
