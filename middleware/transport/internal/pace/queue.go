package pace

import (
	"container/list"
	"time"
)

// A queue holds the requests that wait for the same limits, by their tickets: a denied
// request goes back in front of those that came after it.
type queue struct{ waiters list.List } // of *waiter

// A waiter is a request in a queue.
type waiter struct {
	Ticket
	wake     chan struct{} // it is the first now, or there is news
	end      time.Time     // it can wait no longer
	deadline bool          // end is its context's deadline
	set      *limitSet     // whose queue it is in
	place    *list.Element
}

// join adds w, and returns how many are in front of it.
func (q *queue) join(w *waiter) int {
	ahead := q.waiters.Len()
	for e := q.waiters.Back(); e != nil; e = e.Prev() {
		if waiterIn(e).number < w.number {
			w.place = q.waiters.InsertAfter(w, e)
			return ahead
		}
		ahead--
	}
	w.place = q.waiters.PushFront(w)
	return 0
}

// wake makes the first request try whether it may be sent.
func (q *queue) wake() {
	first := q.waiters.Front()
	if first == nil {
		return
	}
	select {
	case waiterIn(first).wake <- struct{}{}:
	default: // it will try anyway
	}
}

func waiterIn(e *list.Element) *waiter {
	return e.Value.(*waiter) //nolint:errcheck,forcetypeassert // the list holds nothing else
}

// queues are the queues of all sets of limits: a limit that is used up delays no request
// that does not count against it.
type queues struct{ bySet map[*limitSet]*queue }

// join adds w to the queue of a set, and returns how many are in front of it.
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

// leave removes w, and wakes the next request.
func (qs *queues) leave(w *waiter) {
	q := qs.bySet[w.set]
	q.waiters.Remove(w.place)
	if q.wake(); q.waiters.Len() == 0 {
		delete(qs.bySet, w.set)
	}
}

// wake wakes the first request of each queue.
func (qs *queues) wake() {
	for _, q := range qs.bySet {
		q.wake()
	}
}

// sort moves the requests whose limits have changed.
func (qs *queues) sort(of func(Route) *limitSet) {
	var moved []*waiter
	for set, q := range qs.bySet {
		for e := q.waiters.Front(); e != nil; {
			w := waiterIn(e)
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
