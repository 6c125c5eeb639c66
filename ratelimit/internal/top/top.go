// Package top counts what is denied most often, in bounded memory.
package top

import (
	"bytes"
	"cmp"
	"container/heap"
	"crypto/sha256"
	"hash/maphash"
	"slices"
	"time"
)

// Denials counts denials and keeps the most frequent: Space-Saving (Metwally, Agrawal, El
// Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, ICDT 2005).
// If all places are taken, a new ID takes the place and the count of one with the fewest.
// So no count is too small, and none is too large by more than the count it took over.
// The caller guards it with a lock.
type Denials struct {
	Max   int // the places
	least leastHeap
	seed  maphash.Seed
	heads []*Counter // of lists, by the hash of their keys: a map would grow with each new ID
}

// An ID is what is counted: the hash of a key, and a limit.
type ID struct {
	Key   [sha256.Size]byte
	Limit string // its name
}

// A Counter is one place.
type Counter struct {
	ID    ID
	Count int64
	Over  int64 // the part of Count that it took over
	Seen  Seen
	at    int // in the heap
	next  *Counter
}

// Seen describes the denials of a Counter, without those that it took over.
type Seen struct {
	Tokens      int64
	Longest     time.Duration
	First, Last time.Time
}

// Count counts n denials, and returns the description of their counter.
func (t *Denials) Count(id ID, n int64) *Seen {
	c := t.find(id)
	switch {
	case c != nil:
	case len(t.least) < t.Max:
		if len(t.least) == len(t.heads) {
			t.grow()
		}
		c = &Counter{ID: id}
		t.link(c)
		heap.Push(&t.least, c)
	default:
		c = t.least[0]
		t.unlink(c)
		c.ID, c.Over, c.Seen = id, c.Count, Seen{}
		t.link(c)
	}
	c.Count += n
	heap.Fix(&t.least, c.at)
	return &c.Seen
}

// head returns where the list of an ID begins.
func (t *Denials) head(id *ID) **Counter {
	return &t.heads[maphash.Bytes(t.seed, id.Key[:])&uint64(len(t.heads)-1)]
}

// find returns the counter of an ID, or nil.
func (t *Denials) find(id ID) *Counter {
	if t.heads == nil {
		return nil
	}
	c := *t.head(&id)
	for c != nil && c.ID != id {
		c = c.next
	}
	return c
}

func (t *Denials) link(c *Counter) {
	head := t.head(&c.ID)
	c.next, *head = *head, c
}

func (t *Denials) unlink(c *Counter) {
	at := t.head(&c.ID)
	for *at != c {
		at = &(*at).next
	}
	*at = c.next
}

// grow makes twice as many lists: a power of two.
func (t *Denials) grow() {
	if t.heads == nil {
		t.seed = maphash.MakeSeed()
	}
	t.heads = make([]*Counter, max(2*len(t.heads), 8))
	for _, c := range t.least {
		t.link(c)
	}
}

// Copy returns the counters as they are now. Sort orders them, without the lock.
func (t *Denials) Copy() []Counter {
	counters := make([]Counter, len(t.least))
	for i, c := range t.least {
		counters[i] = *c
		counters[i].next = nil
	}
	return counters
}

// Sort puts the largest first.
func Sort(counters []Counter) {
	slices.SortFunc(counters, func(a, b Counter) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Over, b.Over),
			bytes.Compare(a.ID.Key[:], b.ID.Key[:]), cmp.Compare(a.ID.Limit, b.ID.Limit))
	})
}

// leastHeap has the smallest count in front.
type leastHeap []*Counter

func (h leastHeap) Len() int           { return len(h) }
func (h leastHeap) Less(i, j int) bool { return h[i].Count < h[j].Count }
func (h leastHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

// Push is for package heap.
func (h *leastHeap) Push(x any) {
	if c, ok := x.(*Counter); ok {
		c.at = len(*h)
		*h = append(*h, c)
	}
}

// Pop is for package heap. It is never called: a counter changes its ID but stays.
func (h *leastHeap) Pop() any { panic("ratelimit: no counter leaves the heap") }
