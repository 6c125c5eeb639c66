package memstore

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// An id stands for a key and a limit: a keyed 128-bit hash. The first half is the
// key's alone, so that the search for each of its buckets begins at one place.
type id struct{ key, limit uint64 }

// of returns the id of the bucket of l, for the hash of its owner.
func (hash id) of(l *store.Limit) id { return id{hash.key, hash.limit ^ l.NameHash()} }

// owners are the hashes of the two that can own a bucket: a key, and its home. They are the
// same for a key without a home.
type owners struct{ key, home id }

// id returns the id of the bucket of l.
func (o *owners) id(l *store.Limit) id {
	if l.Shared {
		return o.home.of(l)
	}
	return o.key.of(l)
}

// A slot is a place in the table for one bucket, 32 bytes without a pointer: two
// to a cache line.
type slot struct {
	id     id
	micros int64  // the TAT; of a bucket that is kept whole, when it is full
	frac   uint32 // of a bucket that is kept whole, where in shard.wholes it is
	kind   uint32 // 0: the slot is empty
}

const (
	// sharedBit marks, in frac, which is below 2^31, a debt that includes that of an
	// overflow bucket.
	sharedBit = 1 << 31

	// The bits of kind above the index of the interval: see [gcra.Rate.Index].
	usedBit  = 1 << 16
	wholeBit = 1 << 17 // the bucket is more than a TAT: see whole
	indexOf  = usedBit - 1
)

func (s *slot) tat() gcra.TAT { return gcra.TATOf(s.micros, s.frac&^sharedBit, s.kind&indexOf) }

// of reports whether the bucket is a TAT that was made under the interval of l, which has an
// index, or full.
func (s *slot) of(l *store.Limit, now int64) bool {
	return s.kind == usedBit|l.Index() || s.kind&wholeBit == 0 && s.fullAt() <= now
}

func (s *slot) set(t gcra.TAT, index uint32, shared bool) {
	s.micros, s.frac, s.kind = t.Micros, t.Frac, usedBit|index
	if index == 0 && s.frac > 0 { // it could not be read without its denominator
		s.micros, s.frac = s.micros+1, 0
	}
	if shared {
		s.frac |= sharedBit
	}
}

func (s *slot) empty() bool   { return s.kind == 0 }
func (s *slot) isWhole() bool { return s.kind&wholeBit != 0 }
func (s *slot) shared() bool  { return s.frac&sharedBit != 0 }

// fullAt returns the first whole microsecond at which the bucket is full.
func (s *slot) fullAt() int64 {
	if s.frac&^sharedBit != 0 && !s.isWhole() {
		return s.micros + 1
	}
	return s.micros
}
