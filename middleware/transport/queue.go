package transport

import "container/list"

// A queue holds the requests that wait, in the order in which they first came: one
// that was refused goes back in front of those that came after it.
type queue struct{ waiters list.List } // of *waiter

// A waiter is a request in the queue.
type waiter struct {
	ticket uint64
	// look tells the request that its turn has come, or that there is news.
	look chan struct{}
}

// join puts w in, and returns its place and how many are in front of it.
func (q *queue) join(w *waiter) (place *list.Element, ahead int) {
	ahead = q.waiters.Len()
	for e := q.waiters.Back(); e != nil; e = e.Prev() {
		if e.Value.(*waiter).ticket < w.ticket { //nolint:errcheck,forcetypeassert // nothing else is put there
			return q.waiters.InsertAfter(w, e), ahead
		}
		ahead--
	}
	return q.waiters.PushFront(w), ahead
}

// leave takes a request out, and lets the next one look.
func (q *queue) leave(place *list.Element) {
	q.waiters.Remove(place)
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
