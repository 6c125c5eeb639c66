package pace

import (
	"container/list"
	"time"
)

// A queue holds the requests that wait for the same limits, in the order in which they
// first came: one that was refused goes back in front of those that came after it.
type queue struct{ waiters list.List } // of *waiter

// A waiter is a request in the queue.
type waiter struct {
	ticket uint64
	route  Route
	// look tells the request that its turn has come, or that there is news.
	look     chan struct{}
	end      time.Time // of its time
	deadline bool      // which is that of its context
	set      *limitSet // whose queue it is in
	place    *list.Element
}

// join puts w in, and returns how many are in front of it.
func (q *queue) join(w *waiter) int {
	ahead := q.waiters.Len()
	for e := q.waiters.Back(); e != nil; e = e.Prev() {
		if e.Value.(*waiter).ticket < w.ticket { //nolint:errcheck,forcetypeassert // nothing else is put there
			w.place = q.waiters.InsertAfter(w, e)
			return ahead
		}
		ahead--
	}
	w.place = q.waiters.PushFront(w)
	return 0
}

// wake lets the first request look whether it may be sent.
func (q *queue) wake() {
	first := q.waiters.Front()
	if first == nil {
		return
	}
	select {
	case first.Value.(*waiter).look <- struct{}{}: //nolint:errcheck,forcetypeassert // nothing else is put there
	default: // it will look anyway
	}
}

// queues are the requests that wait, by their limits, so that one limit that is used
// up holds up no request that does not count against it.
type queues struct{ bySet map[*limitSet]*queue }

// join puts w into the queue of a set, and returns how many are in front of it.
func (qs *queues) join(w *waiter, set *limitSet) int {
	q := qs.bySet[set]
	if q == nil {
		if qs.bySet == nil {
			qs.bySet = make(map[*limitSet]*queue)
		}
		q = new(queue)
		qs.bySet[set] = q
	}
	w.set = set
	return q.join(w)
}

func (qs *queues) isFirst(w *waiter) bool { return w.place.Prev() == nil }

// leave takes w out, and lets the next one look.
func (qs *queues) leave(w *waiter) {
	q := qs.bySet[w.set]
	q.waiters.Remove(w.place)
	if q.wake(); q.waiters.Len() == 0 {
		delete(qs.bySet, w.set)
	}
}

// wake lets the first request of each queue look whether it may be sent.
func (qs *queues) wake() {
	for _, q := range qs.bySet {
		q.wake()
	}
}

// sort puts those whose limits have changed into other queues.
func (qs *queues) sort(of func(Route) *limitSet) {
	var moved []*waiter
	for set, q := range qs.bySet {
		for e := q.waiters.Front(); e != nil; {
			w := e.Value.(*waiter) //nolint:errcheck,forcetypeassert // nothing else is put there
			if e = e.Next(); of(w.route) != set {
				q.waiters.Remove(w.place)
				moved = append(moved, w)
			}
		}
		if q.waiters.Len() == 0 {
			delete(qs.bySet, set)
		}
	}
	for _, w := range moved {
		qs.join(w, of(w.route))
	}
}
