package main

import (
	"net/http"
	"slices"
	"time"
)

// A loss is the moment at which Redis lost what it knew. Calls that were in flight
// then may have been charged without anybody having learned of it.
type loss struct {
	begin, end time.Duration
	inFlight   [keyCount]int // of each key, at most the burst
}

// weigh fills in how many of the calls were in flight.
func (s *loss) weigh(calls []call) {
	for i := range calls {
		if c := &calls[i]; c.sent <= s.end && c.came >= s.begin {
			s.inFlight[c.key] = min(s.inFlight[c.key]+1, limit.Rate)
		}
	}
}

// A leave is what may be admitted beyond the limit.
type leave struct{ losses []loss }

// bound returns how many calls of a key may be admitted from one instant to another: the
// burst, what comes back meanwhile and, for each loss in between, what was in flight.
func (l leave) bound(key int, from, to time.Duration) int {
	n := limit.Rate + int((to-from)*time.Duration(limit.Rate)/limit.Period)
	for _, s := range l.losses {
		if from <= s.end && to >= s.begin {
			n += s.inFlight[key]
		}
	}
	return n
}

// worst returns by how much what was admitted of a key was above its bound, in that
// window of all in which it was most; not more than 0 if it never was. A call was
// decided somewhere between its question and its answer: it counts for a window that
// holds both.
func (l leave) worst(calls []call, key int) int {
	ours := admitted(calls, key)
	most := -limit.Rate
	for _, first := range ours {
		n := 0
		for _, last := range ours {
			if last.sent < first.sent {
				continue
			}
			n++
			most = max(most, n-l.bound(key, first.sent, last.came))
		}
	}
	return most
}

// soFar returns how many calls of all keys were admitted since each key's first, and
// how many may have been.
func (l leave) soFar(calls []call) (admittedSoFar, boundSoFar int) {
	var last time.Duration
	for i := range calls {
		last = max(last, calls[i].came)
	}
	for key := range keyCount {
		first := slices.IndexFunc(calls, func(c call) bool { return c.key == key })
		if first < 0 {
			continue
		}
		admittedSoFar += len(admitted(calls, key))
		boundSoFar += l.bound(key, calls[first].sent, last)
	}
	return admittedSoFar, boundSoFar
}

// admitted returns the calls of a key that were admitted, in the order in which their
// answers came.
func admitted(calls []call, key int) []call {
	ours := slices.DeleteFunc(slices.Clone(calls), func(c call) bool { return c.key != key || c.status != http.StatusOK })
	slices.SortFunc(ours, func(a, b call) int { return int(a.came - b.came) })
	return ours
}
