package ratelimit

import (
	"bytes"
	"cmp"
	"container/heap"
	"crypto/sha256"
	"slices"
	"time"
)

// top counts refusals, and keeps the most frequent: Space-Saving, see
// [Limiter.ShadowReport]. Whoever is new while it is full takes the place, and the count,
// of one who has the fewest. So nobody's count is too small, and it is too large by no
// more than that. It is guarded by its owner's lock.
type top struct {
	max   int
	byID  map[refusal]*counter
	least leastHeap
}

// A refusal is what is counted: a hash of the key, and the limit's name.
type refusal struct {
	key   [sha256.Size]byte
	limit string
}

type counter struct {
	id    refusal
	count int64
	over  int64 // the count that was taken over
	seen  seen
	at    int // in the heap
}

// seen is what else is known of a counter's refusals, but for those taken over.
type seen struct {
	tokens      int64
	longest     time.Duration
	first, last time.Time
}

// count counts one refusal, and returns what is known of those like it.
func (t *top) count(id refusal) *seen {
	c := t.byID[id]
	switch {
	case c != nil:
	case len(t.least) < t.max:
		if t.byID == nil {
			t.byID = make(map[refusal]*counter)
		}
		c = &counter{id: id}
		t.byID[id] = c
		heap.Push(&t.least, c)
	default:
		c = t.least[0]
		delete(t.byID, c.id)
		c.id, c.over, c.seen = id, c.count, seen{}
		t.byID[id] = c
	}
	c.count++
	heap.Fix(&t.least, c.at)
	return &c.seen
}

// copied returns the counters as they are now.
func (t *top) copied() []counter {
	counters := make([]counter, len(t.least))
	for i, c := range t.least {
		counters[i] = *c
	}
	return counters
}

// sortCounters puts the largest first.
func sortCounters(counters []counter) {
	slices.SortFunc(counters, func(a, b counter) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.over, b.over),
			bytes.Compare(a.id.key[:], b.id.key[:]), cmp.Compare(a.id.limit, b.id.limit))
	})
}

// leastHeap has the smallest count in front.
type leastHeap []*counter

func (h leastHeap) Len() int           { return len(h) }
func (h leastHeap) Less(i, j int) bool { return h[i].count < h[j].count }
func (h leastHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push is for package heap.
func (h *leastHeap) Push(x any) {
	if c, ok := x.(*counter); ok {
		c.at = len(*h)
		*h = append(*h, c)
	}
}

// Pop is for package heap, which calls it for nothing here: counters only change hands.
func (h *leastHeap) Pop() any { panic("ratelimit: nothing leaves the counters of refusals") }
