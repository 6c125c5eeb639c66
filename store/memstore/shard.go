package memstore

import (
	"math"
	"math/bits"
	"sync"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A shard is a part of the table: open addressing with linear probing, between
// three fifths and three quarters full while it grows. It fills one cache line.
type shard struct {
	mu       sync.Mutex
	slots    []slot
	used     int32
	bits     uint32  // of a hash that chose the shard
	latest   int64   // the latest instant that was seen here
	earliest int64   // no bucket is full before; a lower bound
	wholes   *wholes // the buckets that are more than a TAT; nil if there are none
}

// advance returns the instant of a decision: now, but never before an earlier
// decision. A call that waited for the lock brings an old reading of the clock.
func (sh *shard) advance(now int64) int64 {
	sh.latest = max(sh.latest, now)
	return sh.latest
}

// home returns where the search for a bucket begins: the hash, less the bits that
// chose the shard, as a fraction of the table.
func (sh *shard) home(id id) int {
	at, _ := bits.Mul64(id.key<<sh.bits, uint64(len(sh.slots)))
	return int(at)
}

// find returns the slot of a bucket, or nil.
func (sh *shard) find(id id) *slot {
	if len(sh.slots) == 0 {
		return nil
	}
	for at := sh.home(id); ; {
		slot := &sh.slots[at]
		if slot.id == id && !slot.empty() {
			return slot
		}
		if slot.empty() {
			return nil
		}
		if at++; at == len(sh.slots) {
			at = 0
		}
	}
}

// place returns the slot that a new bucket may take: that of a full bucket, or
// an empty one.
func (sh *shard) place(id id, now int64) *slot {
	for at := sh.home(id); ; {
		slot := &sh.slots[at]
		if slot.empty() || slot.fullAt() <= now {
			return slot
		}
		if at++; at == len(sh.slots) {
			at = 0
		}
	}
}

// set writes a bucket that is a TAT into its slot.
func (sh *shard) set(slot *slot, tat gcra.TAT, index uint32, shared bool) {
	sh.drop(slot)
	sh.write(slot, tat, index, shared)
}

// write is set for a slot that is not kept whole.
func (sh *shard) write(slot *slot, tat gcra.TAT, index uint32, shared bool) {
	slot.set(tat, index, shared)
	sh.earliest = min(sh.earliest, slot.fullAt())
}

// crowded reports whether one more bucket would make searches long.
func (sh *shard) crowded() bool { return int(sh.used)+1 > len(sh.slots)*3/4 }

// sweep drops the full buckets and returns how many.
func (sh *shard) sweep(now int64) int {
	if sh.earliest > now {
		return 0
	}
	before := sh.used
	sh.earliest = math.MaxInt64
	for at := 0; at < len(sh.slots); {
		switch slot := &sh.slots[at]; {
		case slot.empty():
			at++
		case slot.fullAt() <= now:
			sh.remove(at) // and look at what has moved here
		default:
			sh.earliest = min(sh.earliest, slot.fullAt())
			at++
		}
	}
	return int(before - sh.used)
}

// remove empties a slot, and moves up the buckets behind it that would no longer
// be found (Knuth, The Art of Computer Programming, volume 3, 6.4, algorithm R).
func (sh *shard) remove(hole int) {
	n := len(sh.slots)
	sh.drop(&sh.slots[hole])
	for at := hole; ; {
		if at++; at == n {
			at = 0
		}
		if sh.slots[at].empty() {
			break
		}
		// How far the bucket is behind its home, and behind the hole.
		fromHome, fromHole := at-sh.home(sh.slots[at].id), at-hole
		if fromHome < 0 {
			fromHome += n
		}
		if fromHole < 0 {
			fromHole += n
		}
		if fromHome >= fromHole {
			sh.slots[hole] = sh.slots[at]
			hole = at
		}
	}
	sh.slots[hole] = slot{}
	sh.used--
}

// resize moves the buckets to a table that they fill to three fifths.
func (sh *shard) resize() {
	old := sh.slots
	// append rounds up to what the allocator would hand out anyway.
	sh.slots = append([]slot(nil), make([]slot, (int(sh.used)+4)*5/3)...)
	sh.slots = sh.slots[:cap(sh.slots)]
	for i := range old {
		if !old[i].empty() {
			*sh.place(old[i].id, math.MinInt64) = old[i]
		}
	}
}
