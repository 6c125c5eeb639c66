package memstore

import (
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// room is the count of buckets, and the bound on it.
type room struct {
	max     int64
	used    atomic.Int64
	visited atomic.Int64  // when other shards were last visited for full buckets
	next    atomic.Uint32 // the shard to visit next
}

// take claims room for one bucket, if there is any.
func (r *room) take() bool {
	if r.used.Add(1) <= r.max {
		return true
	}
	r.used.Add(-1)
	return false
}

// shrinkAbove is the number of slots, 8 KB of them, below which a shard keeps its
// size: making it smaller would save nothing and cost an allocation.
const shrinkAbove = 256

// insert stores a bucket that the shard does not have. It returns false if there
// is no room: then MaxKeys other buckets are in debt. Slots found before
// may have moved.
func (s *Store) insert(sh *shard, id id, tat gcra.TAT, index uint32, shared bool, now int64) bool {
	if sh.crowded() {
		s.room.used.Add(-int64(sh.sweep(now)))
		if used := int(sh.used) * 8; used >= len(sh.slots)*5 || used < len(sh.slots) && len(sh.slots) > shrinkAbove {
			sh.resize()
		}
	}
	slot := sh.place(id, now)
	if slot.empty() {
		if !s.room.take() {
			if !s.recycle(sh, now) {
				return false
			}
			slot = sh.place(id, now) // a sweep moves buckets
		}
		sh.used++
	}
	sh.drop(slot)
	slot.id = id
	sh.set(slot, tat, index, shared)
	return true
}

// When the table is full of debts, one caller every recycleEvery microseconds looks
// for full buckets in other shards: in so many at most, and with a sweep of so few,
// which take some ten microseconds each. The next goes on from there.
const (
	recycleEvery  = 1000
	recycleVisits = 256
	recycleSweeps = 8
)

// recycle claims the room of a full bucket, of this shard or of another one.
func (s *Store) recycle(own *shard, now int64) bool {
	if freed := own.sweep(now); freed > 0 {
		s.room.used.Add(-int64(freed))
		return s.room.take()
	}
	visited := s.room.visited.Load()
	if now-visited < recycleEvery || !s.room.visited.CompareAndSwap(visited, now) {
		return false
	}
	sweeps := 0
	for range min(recycleVisits, len(s.shards)) {
		sh := &s.shards[s.room.next.Add(1)%uint32(len(s.shards))] // there are 2^16 at most
		// The lock of the own shard is held: a call must not wait for a second one.
		if sh == own || !sh.mu.TryLock() {
			continue
		}
		now := sh.advance(now)
		if sh.earliest <= now {
			sweeps++
		}
		freed := sh.sweep(now)
		sh.mu.Unlock()
		if freed > 0 {
			s.room.used.Add(-int64(freed))
			return s.room.take()
		}
		if sweeps == recycleSweeps {
			break
		}
	}
	return false
}
