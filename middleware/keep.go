package middleware

import (
	"context"
	"sync/atomic"

	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// Keep makes the request with the context ctx hold its places in limits on concurrent calls
// until release is called, and not only until its handler returns. It is for a connection that
// outlives its handler, such as a hijacked one that another goroutine serves:
//
//	release := middleware.Keep(r.Context())
//	go func() {
//		defer release()
//		serve(conn)
//	}()
//
// Call it before the handler returns. If several middlewares are nested, Keep is for all of
// them. release is never nil, and may be called more than once; if the request holds nothing,
// it does nothing. A place whose release is never called is lost until the program exits or
// drops release and the request.
func Keep(ctx context.Context) (release func()) {
	var kept []*heldContext
	for c, ok := heldFrom(ctx); ok; c, ok = heldFrom(c.Context) {
		if c.held.Keep() {
			kept = append(kept, c)
		}
	}
	var released atomic.Bool
	return func() {
		if released.Swap(true) {
			return
		}
		for _, c := range kept {
			c.held.Done(c)
		}
	}
}

// A heldContext is the context of a request that holds something. It is a value in itself,
// which saves an allocation.
type heldContext struct {
	context.Context //nolint:containedctx // it is one

	held gate.Held
}

type heldKey struct{}

// Value returns c itself for a heldKey.
func (c *heldContext) Value(key any) any {
	if _, ok := key.(heldKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// heldFrom returns the innermost heldContext in ctx.
func heldFrom(ctx context.Context) (*heldContext, bool) {
	c, ok := ctx.Value(heldKey{}).(*heldContext)
	return c, ok
}
