package middleware

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync/atomic"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Door limits requests as [RateLimit] and [Routes] do, for a framework or a router whose
// middleware is no func(http.Handler) http.Handler, but gets a [http.ResponseWriter] and a
// [http.Request]. The packages for such frameworks, such as ginlimit, use it. It is safe for
// concurrent use.
type Door struct {
	own    *handler            // where the key's own limits apply
	routes map[string]*handler // by pattern

	marked atomic.Int64 // requests with a doorMark
	nested atomic.Bool  // such a request came back, which is reported
}

// NewDoor returns a Door with the limits of limiter. The patterns of routes are those that
// [Door.Serve] is given; that the framework has them is not checked. The error joins all faults.
func NewDoor(limiter *ratelimit.Limiter, c Config, routes ...Route) (*Door, error) {
	return newDoor("NewDoor", limiter, c, routes, func(pattern string) error {
		if pattern == "" {
			return errors.New(`Route.Pattern must be one of the framework, such as "GET /export/:id"`)
		}
		return nil
	})
}

// newDoor is NewDoor with a function that checks patterns.
func newDoor(name string, limiter *ratelimit.Limiter, c Config, routes []Route, check func(pattern string) error) (*Door, error) {
	var faults []error
	own, err := newHandler(limiter, c)
	if err != nil {
		faults = append(faults, err)
		own = &handler{} // for the faults of the routes
	}
	d := &Door{own: own, routes: make(map[string]*handler, len(routes))}
	for i, r := range routes {
		var wrong []error
		if err := check(r.Pattern); err != nil {
			wrong = append(wrong, err)
		}
		made, more := r.behind(limiter, own)
		wrong = append(wrong, more...)
		if _, twice := d.routes[r.Pattern]; twice {
			wrong = append(wrong, errors.New("Route.Pattern must differ from those of the other routes; give all limits of a pattern in one Route"))
		}
		for _, fault := range wrong {
			faults = append(faults, fmt.Errorf("middleware: %s: routes[%d] %q: %w", name, i, r.Pattern, fault))
		}
		d.routes[r.Pattern] = made
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return d, nil
}

// Serve decides about a request to the route of that pattern, which is "" where there is none.
// Either it sets the rate-limit headers and calls next once, or it responds; it reports which.
// The request that next gets may have another context and body than r, and with
// [Config.SettleBy] its ResponseWriter wraps w: the framework must go on with these. What the
// request holds is settled when Serve returns. Serve does not recover panics of next.
//
// A request that is served by the same door twice is charged twice, as with [RateLimit]. If one
// of the first requests is, that is reported once, as [FaultChargedTwice].
func (d *Door) Serve(w http.ResponseWriter, r *http.Request, pattern string, next http.Handler) (served bool) {
	if d.marked.Load() < mostPassed {
		r = d.mark(r)
	}
	to := d.own
	if at := d.routes[pattern]; at != nil {
		to = at
	}
	return to.serve(w, r, pattern, next)
}

// A doorMark is in the context of a request that a door has seen.
type doorMark struct {
	by     *Door
	header uintptr // of the request: one that a handler makes of it is another
}

// mark returns the request with a doorMark. It copies the request, so only the first ones have
// one: a door that is used twice by mistake is found by then.
func (d *Door) mark(r *http.Request) *http.Request {
	mine := doorMark{d, reflect.ValueOf(r.Header).Pointer()}
	if r.Context().Value(mine) != nil {
		if !d.nested.Swap(true) {
			d.own.gate.Report(r.Context(), FaultChargedTwice, "charged by the same middleware twice")
		}
		return r
	}
	d.marked.Add(1)
	return r.WithContext(context.WithValue(r.Context(), mine, true))
}
