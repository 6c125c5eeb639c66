package load

import (
	"math/rand/v2"
	"unsafe"
)

// KeySize is the length of every key, in bytes.
const KeySize = 24

// PutKey writes the key of number n into b.
func PutKey(b []byte, n int) {
	copy(b, "api-key-0000000000000000")
	for at := KeySize - 1; n > 0; at-- {
		b[at] = byte('0' + n%10)
		n /= 10
	}
}

// NewKey returns the key of number n, in memory of its own as the header of a
// request would be.
func NewKey(n int) string {
	var b [KeySize]byte
	PutKey(b[:], n)
	return string(b[:])
}

// A Stream is a sequence of keys as callers send them, one behind the other in
// one piece of memory. Reading it costs next to nothing: as in a server, the key
// of a call is at hand, and it is another copy than the one a limiter may keep.
type Stream []byte

// NewStream returns n keys drawn from so many. It is the same every time.
func NewStream(distribution string, keys, n int) Stream {
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() int { return random.IntN(keys) }
	if distribution == Zipf && keys > 1 {
		z := rand.NewZipf(random, 1.1, 1, uint64(keys-1))
		draw = func() int { return int(z.Uint64()) }
	}
	s := make(Stream, n*KeySize)
	for i := range n {
		PutKey(s[i*KeySize:], draw())
	}
	return s
}

// The distributions.
const (
	Uniform = "uniform"
	Zipf    = "zipf"
)

// At returns the key that begins at an offset.
func (s Stream) At(offset int) string { return unsafe.String(&s[offset], KeySize) }

// Shuffled returns the numbers below n, in an order that is the same every time:
// keys that are drawn often must not lie together because they came first.
func Shuffled(n int) []int {
	return rand.New(rand.NewPCG(3, 4)).Perm(n)
}

// KeyHeader is the request header that holds the key. It is in canonical form, so that no
// library spends time on that.
const KeyHeader = "X-Api-Key"
