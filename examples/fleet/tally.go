package main

import (
	"math/bits"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A tally counts answers: by outcome, by what they were based on, and by how long they took.
type tally [tallyLen]int

func (t *tally) add(u *tally) {
	for i := range t {
		t[i] += u[i]
	}
}

// since returns what has been counted since an earlier tally.
func (t *tally) since(u *tally) (n tally) {
	for i := range t {
		n[i] = t[i] - u[i]
	}
	return n
}

func (t *tally) decisions() int { return t[admitted] + t[denied] }

// share returns what part of the decisions, in percent, was based on a source.
func (t *tally) share(s store.Source) float64 {
	return 100 * float64(t[sources+int(s)]) / float64(max(t.decisions(), 1))
}

// bucketOf returns the word that counts a time: 8 ns and more have three bits after the first.
func bucketOf(took time.Duration) int {
	ns := uint64(max(took, 8))
	n := min(bits.Len64(ns), maxBits) // 4 or more
	return buckets + (n-4)*8 + int(min(ns>>(n-4), 15)&7)
}

// quantile returns the time in the middle of the bucket that has the q-th part of all.
func (t *tally) quantile(q float64) time.Duration {
	all := 0
	for _, n := range t[buckets:] {
		all += n
	}
	rank := int(q * float64(all))
	for i, n := range t[buckets:] {
		if rank -= n; rank < 0 {
			return time.Duration((2*(8+i%8) + 1) << (i / 8) / 2)
		}
	}
	return 0
}
