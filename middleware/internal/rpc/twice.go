package rpc

import (
	"context"
	"fmt"
	"sync/atomic"
)

// twice detects that one interceptor is in a chain twice, most likely by mistake. The first calls
// have a record in their contexts.
type twice struct {
	marked   atomic.Int64
	reported atomic.Bool
}

// mostMarked is how many calls get a record.
const mostMarked = 1000

// A mark is the record of a call.
type mark struct {
	by     *twice
	method string
	key    string
}

// Format prints the name of the type: the key may be a secret.
func (mark) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("rpc.mark")) }

type markKey struct{}

// found reports whether an outer interceptor has charged the same call, the first time.
func (t *twice) found(c *Call) bool {
	if t.marked.Load() == 0 || t.marked.Load() >= mostMarked || t.reported.Load() || !c.decided.Decided() || c.decided.Result.Cost() == 0 {
		return false
	}
	return c.Context.Value(markKey{}) == mark{t, c.Method, c.key} && !t.reported.Swap(true)
}

// mark returns the context of a call, with a record if it is one of the first.
func (t *twice) mark(c *Call) context.Context {
	if t.marked.Load() >= mostMarked || t.marked.Add(1) >= mostMarked {
		return c.Context
	}
	return context.WithValue(c.Context, markKey{}, mark{t, c.Method, c.key})
}
