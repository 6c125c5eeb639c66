package transport

import (
	"container/list"
	"time"
)

// A queue holds the requests that wait, in the order in which they first came: one
// that was refused goes back in front of those that came after it.
type queue struct{ waiters list.List } // of *waiter

// A waiter is a request in the queue.
type waiter struct {
	ticket uint64
	// look tells the request that its turn has come, or that there is news.
	look     chan struct{}
	end      time.Time // of its time
	deadline bool      // which is that of its context
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

func (q *queue) isFirst(w *waiter) bool { return w.place.Prev() == nil }

// leave takes w out, and lets the next one look.
func (q *queue) leave(w *waiter) {
	q.waiters.Remove(w.place)
	q.wake()
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
