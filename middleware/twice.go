package middleware

import (
	"context"
	"net/http"
	"reflect"
	"sync/atomic"
)

// twice detects that one middleware is around a handler twice, most likely by mistake. A
// handler records what it has charged in the context of the request. That copies the
// request, so it is done only while another handler of the same middleware waits for its
// first request: never if there is only one.
type twice struct {
	all *handlers
	had *atomic.Bool // a request; it also stands for the handler
}

// handlers are all handlers of one middleware.
type handlers struct {
	waiting atomic.Int64 // for their first request
	passed  atomic.Int64 // requests with a record
}

// mostPassed is how many requests get a record at most.
const mostPassed = 1000

func (all *handlers) add() twice {
	all.waiting.Add(1)
	return twice{all, new(atomic.Bool)}
}

// charged is what a handler has charged.
type charged struct {
	by     twice
	key    string
	header uintptr // of the request: one that a handler makes of it is another
}

type chargedKey struct{}

// look returns the request for the handler, and reports whether an outer handler has charged
// the same key for it, the first time that this one has one.
func (t twice) look(r *http.Request, key string) (_ *http.Request, found bool) {
	mine := charged{t, key, reflect.ValueOf(r.Header).Pointer()}
	if t.leave() {
		outer, ok := r.Context().Value(chargedKey{}).(charged)
		found = ok && outer.by.all == t.all && outer.by != t && outer.key == key && outer.header == mine.header
	}
	if t.all.waiting.Load() > 0 && t.all.passed.Add(1) <= mostPassed {
		r = r.WithContext(context.WithValue(r.Context(), chargedKey{}, mine))
	}
	return r, found
}

// leave reports whether the handler was waiting, which it does no longer.
func (t twice) leave() bool {
	if t.had.Swap(true) {
		return false
	}
	t.all.waiting.Add(-1)
	return true
}
