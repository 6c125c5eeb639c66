package memstore

import (
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// An id stands for a key and a limit: a keyed 128-bit hash. The first half is the
// key's alone, so that all buckets of a key have the same home.
type id struct{ key, limit uint64 }

// id returns the id of the key's bucket b, for the hash of a key.
func (hash id) id(b *store.Limit) id { return id{hash.key, hash.limit ^ b.NameHash()} }

// A slot is a place in the table for one bucket, 32 bytes without a pointer: two
// to a cache line.
type slot struct {
	id     id
	micros int64 // the TAT
	frac   uint32
	den    uint32 // 0: the slot is empty
}

// sharedBit marks, in frac, which is below 2^31, a debt that includes that of an
// overflow bucket.
const sharedBit = 1 << 31

func (s *slot) tat() gcra.TAT {
	return gcra.TAT{Micros: s.micros, Frac: s.frac &^ sharedBit, Den: s.den}
}

func (s *slot) set(t gcra.TAT, shared bool) {
	s.micros, s.frac, s.den = t.Micros, t.Frac, t.Den
	if shared {
		s.frac |= sharedBit
	}
}

func (s *slot) empty() bool  { return s.den == 0 }
func (s *slot) shared() bool { return s.frac&sharedBit != 0 }

// fullAt returns the first whole microsecond at which the bucket is full.
func (s *slot) fullAt() int64 {
	if s.frac&^sharedBit != 0 {
		return s.micros + 1
	}
	return s.micros
}
