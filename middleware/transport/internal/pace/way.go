package pace

import "time"

// A way is how long requests take there and back: the shortest of late, and the usual.
// In a bucket with room for one token a request that arrives a little too early is
// denied, and one that comes late is one less, so that this must be known well.
type way struct {
	quick, usual time.Duration
	n            int // of trips, up to manyTrips
}

const (
	// enoughTrips show how much trips differ, and manyTrips are what counts.
	enoughTrips, manyTrips = 16, 64
	// slowly is how many trips it takes until a longer way is believed.
	slowly = 1024
)

func (w *way) read(took time.Duration) {
	if w.n == 0 {
		w.quick, w.usual = took, took
	}
	w.n = min(w.n+1, manyTrips)
	w.usual += (took - w.usual) / time.Duration(w.n)
	w.quick = min(took, w.quick+(took-w.quick)/slowly)
}

// least returns what a trip takes at least, with a margin that is the larger the more
// trips differ.
func (w *way) least() time.Duration {
	if w.n < enoughTrips {
		return w.quick / 2
	}
	return max(w.quick-w.spread()/3, 0)
}

// spread returns by how much trips differ: with half of that added, since the shortest
// is longer than the shortest possible.
func (w *way) spread() time.Duration {
	if w.n < enoughTrips {
		return w.usual / 2
	}
	return max(w.usual-w.quick, 0) * 3 / 2
}
