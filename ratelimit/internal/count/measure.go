package count

import (
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/metrics"
)

// mostBuckets is how many buckets a histogram has at most.
const mostBuckets = 13

// A histogram counts measurements. Few are made, so callers share it.
type histogram struct {
	sum       atomic.Uint64 // the bits of a float64
	buckets   [mostBuckets]atomic.Uint64
	recorders atomic.Pointer[[]func(value float64)] // one of each Recording, as of the last measurement
}

func (h *histogram) add(bounds []float64, value float64) {
	at, _ := slices.BinarySearch(bounds, value)
	h.buckets[at].Add(1)
	for {
		old := h.sum.Load()
		if h.sum.CompareAndSwap(old, math.Float64bits(math.Float64frombits(old)+value)) {
			return
		}
	}
}

func (h *histogram) read(r *metrics.Reading, i *metrics.Instrument, labels ...string) {
	buckets := make([]uint64, len(i.Bounds)+1)
	some := uint64(0)
	for n := range buckets {
		buckets[n] = h.buckets[n].Load()
		some |= buckets[n]
	}
	if some > 0 {
		r.AddHistogram(i, math.Float64frombits(h.sum.Load()), buckets, labels...)
	}
}

// Took measures how long a decision took.
func (c *Counts) Took(o metrics.Outcome, d time.Duration) {
	c.record(&c.took[o], metrics.CheckDuration, d.Seconds(), o.String())
}

// Used measures how much of the bucket of the ith limit is used.
func (c *Counts) Used(n *Names, i int, part float64) {
	s := c.Of(n)
	c.record(&s.used[i], metrics.Utilization, part, s.labels[i])
}

// record adds a measurement to a histogram, and passes it on.
func (c *Counts) record(h *histogram, i *metrics.Instrument, value float64, label string) {
	h.add(i.Bounds, value)
	all := c.recordings.Load()
	if all == nil {
		return
	}
	to := h.recorders.Load()
	if to == nil || len(*to) < len(*all) {
		made := make([]func(float64), len(*all))
		for n, recording := range *all {
			made[n] = recording(i, label)
		}
		to = &made
		h.recorders.Store(to)
	}
	for _, f := range *to {
		f(value)
	}
}

// OnMeasurement implements [metrics.Sampler].
func (c *Counts) OnMeasurement(f metrics.Recording) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []metrics.Recording{f}
	if old := c.recordings.Load(); old != nil {
		all = append(slices.Clone(*old), f)
	}
	c.recordings.Store(&all)
}
