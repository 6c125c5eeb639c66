package redis

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are counted by all callers at once, with the resolution of an HdrHistogram of three
// digits: 1,024 steps for each power of two, from 1 ns up. To count one is an atomic addition.
type latencies struct {
	counts [octaves * steps]atomic.Uint32
}

const (
	steps   = 1024
	octaves = 28 // the longest is 137 s
)

// add counts a latency.
func (l *latencies) add(latency time.Duration) {
	ns := uint64(max(latency, 0))
	octave := bits.Len64(ns / steps) // 0: each nanosecond has a step
	at := ns
	if octave > 0 {
		at = uint64(octave)*steps + ns>>(octave-1) - steps
	}
	l.counts[min(at, uint64(len(l.counts)-1))].Add(1)
}

// histogram returns what was counted, in nanoseconds.
func (l *latencies) histogram() (*hdrhistogram.Histogram, error) {
	h := hdrhistogram.New(1, math.MaxInt64/2, 3)
	for at := range l.counts {
		n := l.counts[at].Load()
		if n == 0 {
			continue
		}
		ns := int64(at)
		if octave := at / steps; octave > 1 {
			ns = int64(at%steps+steps) << (octave - 1)
		}
		if err := h.RecordValues(max(ns, 1), int64(n)); err != nil {
			return nil, err
		}
	}
	return h, nil
}
