package ratelimit

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"slices"
)

// of returns the phases of a key: those of all keys, or others if a limit is enforced for it by
// [Limit.EnforceFor].
func (ps *phases) of(key, home string) *phases {
	if !ps.rollOut {
		return ps
	}
	chosen := 0
	for i := range ps.all.written {
		if l := &ps.all.written[i]; l.EnforceFor != 0 && l.chooses(key, home) {
			chosen |= 1 << i
		}
	}
	if chosen == 0 {
		return ps
	}
	if of := ps.chosen[chosen].Load(); of != nil {
		return of
	}
	limits := slices.Clone(ps.all.written)
	for i := range limits {
		if chosen>>i&1 == 1 {
			limits[i].Shadow, limits[i].EnforceFrom, limits[i].EnforceFor = false, 0, 0
		}
	}
	of := &phases{all: newPolicy(limits)}
	if !ps.chosen[chosen].CompareAndSwap(nil, of) { // another goroutine made it: one phase for all
		return ps.chosen[chosen].Load()
	}
	return of
}

// chooses reports whether a key is among those for which l is enforced: whether the hash of the
// name of l and of the key, as a fraction of 1, is below the percentage.
func (l *Limit) chooses(key, home string) bool {
	if l.Shared {
		key = home
	}
	var buffer [256]byte                                             // for most keys without an allocation
	text := append(append(append(buffer[:0], l.Name...), 0), key...) // names have no 0
	sum := sha256.Sum256(text)
	percent, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:]), 100)
	return percent < uint64(l.EnforceFor)
}
