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
	sum     atomic.Uint64 // the bits of a float64
	buckets [mostBuckets]atomic.Uint64
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
	c.took[o].add(metrics.CheckDuration.Bounds, d.Seconds())
	c.tell(metrics.CheckDuration, d.Seconds(), o.String())
}

// Used measures how much of the bucket of the ith limit is used.
func (c *Counts) Used(n *Names, i int, part float64) {
	s := c.Of(n)
	s.used[i].add(metrics.Utilization.Bounds, part)
	c.tell(metrics.Utilization, part, s.labels[i])
}

func (c *Counts) tell(i *metrics.Instrument, value float64, labels ...string) {
	if all := c.listen.Load(); all != nil {
		for _, f := range *all {
			f(i, value, labels...)
		}
	}
}

// OnMeasurement implements [metrics.Sampler].
func (c *Counts) OnMeasurement(f func(i *metrics.Instrument, value float64, labels ...string)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := []func(i *metrics.Instrument, value float64, labels ...string){f}
	if old := c.listen.Load(); old != nil {
		all = append(slices.Clone(*old), f)
	}
	c.listen.Store(&all)
}
