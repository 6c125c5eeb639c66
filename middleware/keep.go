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
	var kept []*gate.HeldContext
	for c, ok := gate.HeldFrom(ctx); ok; c, ok = gate.HeldFrom(c.Context) {
		if c.Held.Keep() {
			kept = append(kept, c)
		}
	}
	var released atomic.Bool
	return func() {
		if released.Swap(true) {
			return
		}
		for _, c := range kept {
			c.Held.Done(c)
		}
	}
}
