package pace

import (
	"container/list"
	"time"
)

// A waiter is a request in a queue.
type waiter struct {
	Ticket
	wake     chan struct{} // it is the first now, or there is news
	end      time.Time     // it can wait no longer
	deadline bool          // end is its context's deadline
	set      *limitSet     // whose queue it is in
	place    *list.Element
}

// queues hold the requests that wait, by the limits that they wait for: a limit that is
// used up delays no request that does not count against it. A queue is in the order of the
// tickets: a denied request goes back in front of those that came after it.
type queues struct{ bySet map[*limitSet]*list.List } // of *waiter

func waiterIn(e *list.Element) *waiter {
	return e.Value.(*waiter) //nolint:errcheck,forcetypeassert // the list holds nothing else
}

// join adds w to the queue of a set, and returns how many are in front of it.
func (qs *queues) join(w *waiter, set *limitSet) int {
	q := qs.bySet[set]
	if q == nil {
		if qs.bySet == nil {
			qs.bySet = make(map[*limitSet]*list.List)
		}
		q = list.New()
		qs.bySet[set] = q
	}
	w.set = set
	ahead, e := q.Len(), q.Back()
	for ; e != nil && waiterIn(e).number > w.number; e = e.Prev() {
		ahead--
	}
	if e == nil {
		w.place = q.PushFront(w)
	} else {
		w.place = q.InsertAfter(w, e)
	}
	return ahead
}

func (qs *queues) isFirst(w *waiter) bool { return w.place.Prev() == nil }

// leave removes w, and wakes the next request.
func (qs *queues) leave(w *waiter) {
	q := qs.bySet[w.set]
	q.Remove(w.place)
	if wakeFirst(q); q.Len() == 0 {
		delete(qs.bySet, w.set)
	}
}

// wake wakes the first request of each queue.
func (qs *queues) wake() {
	for _, q := range qs.bySet {
		wakeFirst(q)
	}
}

// wakeFirst makes the first request of a queue try whether it may be sent.
func wakeFirst(q *list.List) {
	if q.Len() == 0 {
		return
	}
	select {
	case waiterIn(q.Front()).wake <- struct{}{}:
	default: // it will try anyway
	}
}

// sort moves the requests whose limits have changed.
func (qs *queues) sort(of func(Route) *limitSet) {
	var moved []*waiter
	for set, q := range qs.bySet {
		for e := q.Front(); e != nil; {
			w := waiterIn(e)
			if e = e.Next(); of(w.route) != set {
				q.Remove(w.place)
				moved = append(moved, w)
			}
		}
		if q.Len() == 0 {
			delete(qs.bySet, set)
		}
	}
	for _, w := range moved {
		qs.join(w, of(w.route))
	}
}
