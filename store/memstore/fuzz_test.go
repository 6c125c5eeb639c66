package memstore

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/keyrate/keyrate/store/storetest"
)

// bytesSource is a rand.Source that takes its numbers from bytes, each spread over
// a whole number, and then from a fixed sequence.
type bytesSource struct {
	bytes []byte
	rest  rand.Source
}

func (s *bytesSource) Uint64() uint64 {
	if len(s.bytes) == 0 {
		return s.rest.Uint64()
	}
	if s.bytes[0] == 0xff && len(s.bytes) > 8 { // a number as it is
		n := binary.LittleEndian.Uint64(s.bytes[1:])
		s.bytes = s.bytes[9:]
		return n
	}
	b := uint64(s.bytes[0])
	s.bytes = s.bytes[1:]
	return b * 0x0101010101010101 // a fraction of 2^64, as IntN wants it
}

// FuzzTake makes histories of bytes and compares every answer with the model's.
func FuzzTake(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"))
	f.Add([]byte("a limit, then another; calls, waits, resets and what is known of them"))
	f.Add([]byte("\xff\x00\x00\x00\x00\x00\x00\x00\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\x10\x20\x40\x80\xc0\xe0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		random := rand.New(&bytesSource{data, rand.NewPCG(1, uint64(len(data)))})
		history := func(c storetest.HistoryConfig) *storetest.History { return storetest.NewHistory(random, c) }
		follow := followExactly
		if len(data)%2 == 1 {
			follow = followOverflow
		}
		if step, err := follow(random, history); err != nil {
			t.Errorf("step %d: %v", step, err)
		}
	})
}
