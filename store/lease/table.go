package lease

import (
	"slices"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/keyrate/keyrate/store"
)

// A table has the entries of keys with a lease. Look-ups take no lock.
type table struct {
	most   int64 // entries
	used   atomic.Int64
	shards [1 << shardBits]tableShard
}

const shardBits = 6

// A tableShard is an open-addressing table with linear probing. A writer holds the lock; one that
// needs more places publishes a new array.
type tableShard struct {
	mu    sync.Mutex
	taken int // places that are not nil
	array atomic.Pointer[[]atomic.Pointer[entry]]
}

// removed stands where an entry was.
var removed = new(entry)

func (t *table) shard(hash uint64) *tableShard { return &t.shards[hash>>(64-shardBits)] }

// find returns the entry of a key in a home under limits, or nil.
func (t *table) find(hash uint64, home, key string, limits []store.Limit) *entry {
	array := t.shard(hash).array.Load()
	if array == nil {
		return nil
	}
	places := *array
	for at := int(hash) & (len(places) - 1); ; at = (at + 1) & (len(places) - 1) {
		e := places[at].Load()
		if e == nil {
			return nil
		}
		if e.hash == hash && e.key == key && e.home == home && e != removed && same(e.limits, limits) {
			return e
		}
	}
}

// same reports whether two policies are equal: they usually are one slice, which the entry keeps.
func same(a, b []store.Limit) bool {
	return len(a) == len(b) && (unsafe.SliceData(a) == unsafe.SliceData(b) || slices.Equal(a, b))
}

// add adds an entry and returns it, or the one that is there; nil if there is no room.
func (t *table) add(e *entry) *entry {
	s := t.shard(e.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := t.find(e.hash, e.home, e.key, e.limits); old != nil {
		return old
	}
	if t.used.Add(1) > t.most {
		t.used.Add(-1)
		return nil
	}
	if array := s.array.Load(); array == nil || (s.taken+1)*2 > len(*array) {
		s.renew()
	}
	places := *s.array.Load()
	at := int(e.hash) & (len(places) - 1)
	for places[at].Load() != nil {
		at = (at + 1) & (len(places) - 1)
	}
	places[at].Store(e)
	s.taken++
	return e
}

// renew publishes an array in which there is room, and no place of a removed entry.
func (s *tableShard) renew() {
	var all []*entry
	if array := s.array.Load(); array != nil {
		for i := range *array {
			if e := (*array)[i].Load(); e != nil && e != removed {
				all = append(all, e)
			}
		}
	}
	size := 8
	for size < 4*(len(all)+1) {
		size *= 2
	}
	places := make([]atomic.Pointer[entry], size)
	for _, e := range all {
		at := int(e.hash) & (size - 1)
		for places[at].Load() != nil {
			at = (at + 1) & (size - 1)
		}
		places[at].Store(e)
	}
	s.taken = len(all)
	s.array.Store(&places)
}

// remove removes an entry.
func (t *table) remove(e *entry) {
	s := t.shard(e.hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	places := *s.array.Load()
	for at := int(e.hash) & (len(places) - 1); places[at].Load() != nil; at = (at + 1) & (len(places) - 1) {
		if places[at].CompareAndSwap(e, removed) {
			t.used.Add(-1)
			return
		}
	}
}

// each calls f for each entry.
func (t *table) each(f func(*entry)) {
	for i := range t.shards {
		array := t.shards[i].array.Load()
		if array == nil {
			continue
		}
		for at := range *array {
			if e := (*array)[at].Load(); e != nil && e != removed {
				f(e)
			}
		}
	}
}
