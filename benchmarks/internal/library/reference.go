package library

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"time"
)

// reference is as little as a limiter per key can be: the clock read once, one
// hash, one look-up in a flat table under a mutex, one number per key. It has no
// shards, no name of the limit, no answer but yes or no, and it takes two keys
// with the same 64-bit hash for one. It is a yardstick, not a limiter.
type reference struct {
	mu       sync.Mutex
	start    time.Time
	seed     maphash.Seed
	slots    []flatSlot
	shift    int
	used     int
	one, all int64 // nanoseconds of debt: of one token, of a full bucket
}

type flatSlot struct {
	hash uint64 // 0: empty
	tat  int64
}

func newReference(s Setting) (Limiter, error) { return newTable(s), nil }

func newTable(s Setting) *reference {
	r := &reference{start: time.Now(), seed: maphash.MakeSeed(), all: int64(s.Limit.Per), one: int64(s.Limit.Per) / int64(s.Limit.Tokens)}
	slots := 64
	if s.Presized {
		slots = 1 << bits.Len(uint(s.Keys*4/3+1))
	}
	r.resize(slots)
	return r
}

func (r *reference) Allow(key string) bool {
	_, allowed := r.take(key)
	return allowed
}

// take returns the debt after the call as well, in nanoseconds.
func (r *reference) take(key string) (debt int64, allowed bool) {
	hash := max(maphash.String(r.seed, key), 1)
	now := int64(time.Since(r.start))
	r.mu.Lock()
	slot := r.find(hash)
	if slot.hash == 0 {
		if (r.used+1)*4 > len(r.slots)*3 {
			r.resize(2 * len(r.slots))
			slot = r.find(hash)
		}
		slot.hash = hash
		r.used++
	}
	debt = max(slot.tat-now, 0)
	if allowed = debt+r.one <= r.all; allowed {
		debt += r.one
		slot.tat = now + debt
	}
	r.mu.Unlock()
	return debt, allowed
}

func (r *reference) find(hash uint64) *flatSlot {
	mask := len(r.slots) - 1
	for at := int(hash >> r.shift); ; at = (at + 1) & mask {
		if slot := &r.slots[at&mask]; slot.hash == hash || slot.hash == 0 {
			return slot
		}
	}
}

func (r *reference) resize(n int) {
	old := r.slots
	r.slots = make([]flatSlot, n)
	r.shift = 64 - bits.TrailingZeros(uint(n))
	for _, slot := range old {
		if slot.hash != 0 {
			*r.find(slot.hash) = slot
		}
	}
}

// clock does nothing but read the clock: no limiter that decides by the present time can do
// without that part of a decision.
type clock struct{ start time.Time }

func newClock(Setting) (Limiter, error) { return &clock{start: time.Now()}, nil }

func (c *clock) Allow(string) bool { return time.Since(c.start) >= 0 }

// machine does nothing at all: every wait that is measured with it is the machine's own.
type machine struct{}

func newMachine(Setting) (Limiter, error) { return machine{}, nil }

func (machine) Allow(string) bool { return true }
