package metrics

import (
	"slices"
	"strings"
)

// A Source has metrics: a limiter, and a store or table that it uses.
type Source interface {
	// Measure adds what the source shows now. It is quick, does no I/O, and may be called
	// concurrently.
	Measure(r *Reading)
}

// A Sampler is a [Source] that passes on its measurements as it makes them, for exporters that
// keep histograms themselves.
type Sampler interface {
	// OnMeasurement makes the source pass on each sampled measurement, beside what earlier calls
	// asked for.
	OnMeasurement(f Recording)
}

// A Recording returns the function that records the measurements of an instrument under one set
// of labels, whose values are in the order of [Instrument.Labels]. It is called about once for
// each set. Both must be quick, and safe for concurrent use.
type Recording func(i *Instrument, labels ...string) (record func(value float64))

// A Reading is what sources show at one moment. Make one with [Read].
type Reading struct {
	points map[*Instrument]map[string]*Point
	seen   map[any]bool
}

// A Point is the value of an instrument under one set of labels.
type Point struct {
	Labels []string // in the order of [Instrument.Labels]
	Value  float64  // of a counter or gauge; of a histogram, the sum of its measurements
	// Buckets are how many measurements a histogram has in each bucket: one more than
	// [Instrument.Bounds].
	Buckets []uint64
}

// Read reads sources. What two of them have in common, such as a store, is read once.
func Read(sources ...Source) *Reading {
	r := &Reading{points: make(map[*Instrument]map[string]*Point), seen: make(map[any]bool)}
	for _, s := range sources {
		s.Measure(r)
	}
	return r
}

// First reports whether this is the first call with this pointer. A source calls it before
// it adds what another source may add, too.
func (r *Reading) First(p any) bool {
	first := !r.seen[p]
	r.seen[p] = true
	return first
}

// Add adds to the value of an instrument.
func (r *Reading) Add(i *Instrument, value float64, labels ...string) {
	r.point(i, labels).Value += value
}

// Set makes value the value of a gauge that shows the same for all sources.
func (r *Reading) Set(i *Instrument, value float64, labels ...string) {
	r.point(i, labels).Value = value
}

// SetMax makes value the value of a gauge, unless another source has set a larger one.
func (r *Reading) SetMax(i *Instrument, value float64, labels ...string) {
	p := r.point(i, labels)
	p.Value = max(p.Value, value)
}

// AddHistogram adds measurements to a histogram: their sum, and how many there are in each
// bucket.
func (r *Reading) AddHistogram(i *Instrument, sum float64, buckets []uint64, labels ...string) {
	p := r.point(i, labels)
	p.Value += sum
	if p.Buckets == nil {
		p.Buckets = make([]uint64, len(i.Bounds)+1)
	}
	for n := range p.Buckets {
		p.Buckets[n] += buckets[n]
	}
}

func (r *Reading) point(i *Instrument, labels []string) *Point {
	points := r.points[i]
	if points == nil {
		points = make(map[string]*Point)
		r.points[i] = points
	}
	id := strings.Join(labels, "\x00")
	p := points[id]
	if p == nil {
		p = &Point{Labels: slices.Clone(labels)}
		for n, l := range p.Labels { // the name of a store's part may be anything
			p.Labels[n] = strings.ToValidUTF8(l, "\uFFFD")
		}
		points[id] = p
	}
	return p
}

// Len returns how many points an instrument has.
func (r *Reading) Len(i *Instrument) int { return len(r.points[i]) }

// Points returns the points of an instrument, in the order of their labels.
func (r *Reading) Points(i *Instrument) []Point {
	points := make([]Point, 0, len(r.points[i]))
	for _, p := range r.points[i] {
		points = append(points, *p)
	}
	slices.SortFunc(points, func(a, b Point) int { return slices.Compare(a.Labels, b.Labels) })
	return points
}
