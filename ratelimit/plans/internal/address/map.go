package address

import (
	"iter"
	"maps"
	"slices"
)

// A Map has values by prefix. The zero Map is empty.
type Map[V any] struct {
	all     map[Prefix]V
	lengths [2][]uint8 // that prefixes of IPv4 and of IPv6 have, the longest first
}

// Len returns how many prefixes there are.
func (m *Map[V]) Len() int { return len(m.all) }

// All yields the prefixes in no order.
func (m *Map[V]) All() iter.Seq2[Prefix, V] { return maps.All(m.all) }

// Get returns the value of exactly p.
func (m *Map[V]) Get(p Prefix) (v V, ok bool) {
	v, ok = m.all[p]
	return v, ok
}

// Set sets the value of p.
func (m *Map[V]) Set(p Prefix, v V) {
	if m.all == nil {
		m.all = make(map[Prefix]V)
	}
	m.all[p] = v
	lengths := &m.lengths[p.family()]
	if at, found := slices.BinarySearchFunc(*lengths, p.len, longestFirst); !found {
		*lengths = slices.Insert(*lengths, at, p.len)
	}
}

// Delete removes p. Its length stays one that Longest tries.
func (m *Map[V]) Delete(p Prefix) { delete(m.all, p) }

func longestFirst(a, b uint8) int { return int(b) - int(a) }

func (p Prefix) family() int {
	if p.v6 {
		return 1
	}
	return 0
}

// Longest returns the longest prefix that p is in, itself included, with its value. It looks up
// one length after another, and allocates nothing.
func (m *Map[V]) Longest(p Prefix) (v V, length int, ok bool) {
	for _, n := range m.lengths[p.family()] {
		if n > p.len {
			continue
		}
		if v, ok = m.all[p.masked(n)]; ok {
			return v, int(n), true
		}
	}
	return v, -1, false
}

// Bits returns the length of p.
func (p Prefix) Bits() int { return int(p.len) }
