package main

import (
	"math/rand/v2"
	"unsafe"
)

// keySize is the length of every key, in bytes.
const keySize = 24

// putKey writes the key of number n into b.
func putKey(b []byte, n int) {
	copy(b, "api-key-0000000000000000")
	for at := keySize - 1; n > 0; at-- {
		b[at] = byte('0' + n%10)
		n /= 10
	}
}

// newKey returns the key of number n, in memory of its own as the header of a
// request would be.
func newKey(n int) string {
	var b [keySize]byte
	putKey(b[:], n)
	return string(b[:])
}

// A stream is a sequence of keys as callers send them, one behind the other in
// one piece of memory. Reading it costs next to nothing: as in a server, the key
// of a call is at hand, and it is another copy than the one a limiter may keep.
type stream []byte

// newStream returns n keys drawn from so many. It is the same every time.
func newStream(distribution string, keys, n int) stream {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() int { return random.IntN(keys) }
	if distribution == zipf && keys > 1 {
		z := rand.NewZipf(random, 1.1, 1, uint64(keys-1))
		draw = func() int { return int(z.Uint64()) }
	}
	s := make(stream, n*keySize)
	for i := range n {
		putKey(s[i*keySize:], draw())
	}
	return s
}

// The distributions.
const (
	uniform = "uniform"
	zipf    = "zipf"
)

// at returns the key that begins at an offset.
func (s stream) at(offset int) string { return unsafe.String(&s[offset], keySize) }

// shuffled returns the numbers below n, in an order that is the same every time:
// keys that are drawn often must not lie together because they came first.
func shuffled(n int) []int {
	return rand.New(rand.NewPCG(3, 4)).Perm(n)
}
