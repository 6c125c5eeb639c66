package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Route gives limits or a cost to the requests that match one pattern of a
// [http.ServeMux].
type Route struct {
	// Pattern is the pattern as it is registered with the mux: "GET /export/{id}".
	Pattern string
	// Limits apply to each key on this route, beside the key's own limits: all are decided
	// together, in one round trip, and none is charged unless all admit the request. A
	// limit without a name is named like the pattern, "GET /export/{id}", a limit that is
	// [ratelimit.Limit.Named] "daily" is "GET /export/{id}#daily", and a limit on concurrent
	// calls without a name "GET /export/{id}#concurrent".
	Limits []ratelimit.Limit
	// Instead makes Limits replace the key's own. An exempt key stays exempt.
	Instead bool
	// Cost is how many tokens a request takes from each limit, the key's own included. 0
	// means what Config.Cost or Config.Reserve returns. With Config.Reserve or
	// Config.SettleBy it is the estimate. A cost above a limit's burst is always denied. If all
	// keys have the same limits, such a cost is an error; with a table, or with limits that
	// are looked up, only keys with higher limits and exempt ones can use the route.
	Cost int
}

// Routes returns a handler that serves mux behind limiter, as [RateLimit] does, but with
// limits and costs by route. Call it after all patterns are registered. A nil mux is
// [http.DefaultServeMux].
//
// The route of a request is that of the pattern that the mux finds, so neither the
// spelling of a path nor HEAD avoids a limit. The key's own limits apply to patterns that
// are not in routes and to what the mux answers by itself, such as a 404, a 405 or a
// redirect: nothing is unlimited. The route is found before the functions of c are called.
// If they changed the request, the mux would serve it by another pattern.
//
// The limits of two routes never share a bucket, nor does a route with a key's own limits:
// see [RouteName]. If a key's own limits have the name of a route's, or are too many beside
// them, that is an error of Routes, or of the change to the limiter's [plans.Table]; with
// limits that are looked up elsewhere it is a fault of each decision. Limiters on one
// store share the bucket of a key and a name: so do two muxes with the same pattern, unless
// the limits of one are named.
//
// The error joins all faults, those of c and limiter included.
func Routes(limiter *ratelimit.Limiter, mux *http.ServeMux, c Config, routes ...Route) (http.Handler, error) {
	if mux == nil {
		mux = http.DefaultServeMux
	}
	registered := make(map[string]http.Handler, len(routes))
	d, err := newDoor("Routes", limiter, c, routes, func(pattern string) (err error) {
		registered[pattern], err = lookUp(mux, pattern)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &routed{mux, d, registered}, nil
}

// behind returns a handler like own for the route, or all faults of r.
func (r Route) behind(limiter *ratelimit.Limiter, own *handler) (_ *handler, faults []error) {
	h := *own
	if unusable(limiter) != nil { // own has that fault
		return nil, r.costFault()
	}
	of, faults := r.limiter(limiter)
	if len(faults) > 0 {
		return nil, faults
	}
	if own.gate != nil {
		h.gate = own.gate.With(of, r.Cost)
		h.reply = own.config.newReply() // the policies of each route are remembered apart from the others'
	}
	return &h, nil
}

// Limiter returns the limiter of the route: own with the limits of r beside the key's own, or
// instead of them, under the names that [RouteName] gives them. It is for a door of your own; the
// cost is up to that. The error joins all faults of r.
func (r Route) Limiter(own *ratelimit.Limiter) (*ratelimit.Limiter, error) {
	if err := unusable(own); err != nil {
		return nil, err
	}
	of, faults := r.limiter(own)
	return of, errors.Join(faults...)
}

// limiter is Limiter with a list of faults.
func (r Route) limiter(own *ratelimit.Limiter) (_ *ratelimit.Limiter, faults []error) {
	faults = append(r.costFault(), r.neverAdmitted(own.Limits())...)
	if len(r.Limits) > 0 {
		var wrong []error
		own, wrong = r.derive(own)
		faults = append(faults, wrong...)
	}
	return own, faults
}

// costFault returns what is wrong with the cost, or with a route that has neither a cost nor
// limits.
func (r Route) costFault() (faults []error) {
	if r.Cost < 0 {
		faults = append(faults, fmt.Errorf("Route.Cost %d must not be negative; 0 means what Config.Cost returns", r.Cost))
	}
	if len(r.Limits) == 0 && (r.Cost == 0 || r.Instead) {
		faults = append(faults, errors.New("Route.Limits must be given, or Route.Cost, and with Route.Instead always limits; to exempt requests, use Config.Skip"))
	}
	return faults
}

// neverAdmitted returns a fault for each limit whose burst is below the cost of the route,
// if all keys have the same limits.
func (r Route) neverAdmitted(own ratelimit.Limits) (faults []error) {
	var limits []ratelimit.Limit
	switch own := own.(type) {
	case ratelimit.Limit:
		limits = []ratelimit.Limit{own}
	case *ratelimit.Policy:
		limits = own.Limits()
	}
	if len(limits) == 0 { // they differ, or no key has any
		return nil
	}
	if r.Instead {
		limits = nil
	}
	for _, l := range append(limits, r.Limits...) {
		burst := l.Burst
		if burst == 0 {
			burst = l.Rate // as Limit.Burst says
		}
		if _, err := ratelimit.NewPolicy(l); err == nil && r.Cost > burst && !l.Concurrent && (!l.Shadow || l.EnforceFrom != 0 || l.EnforceFor != 0) {
			faults = append(faults, fmt.Errorf("Route.Cost %d must be at most %d, the burst of the limit %v, or no request is ever admitted", r.Cost, burst, l))
		}
	}
	return faults
}

// derive returns own with the limits of the route, or their faults.
func (r Route) derive(own *ratelimit.Limiter) (_ *ratelimit.Limiter, faults []error) {
	limits := make([]ratelimit.Limit, len(r.Limits))
	for i, l := range r.Limits {
		p, err := ratelimit.NewPolicy(l)
		for _, fault := range ratelimit.Faults(err) {
			faults = append(faults, fmt.Errorf("Route.Limits[%d]: %w", i, fault))
		}
		if limits[i] = l; err == nil {
			limits[i] = l.Named(RouteName(r.Pattern, p.Limits()[0].Name)) // which may be the usual one
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	derive := own.With
	if r.Instead {
		derive = own.Instead
	}
	made, err := derive(limits...)
	for _, fault := range ratelimit.Faults(err) {
		faults = append(faults, fault)
	}
	if err != nil && len(faults) == 0 {
		faults = []error{err}
	}
	return made, faults
}

// routed serves a mux behind a door.
type routed struct {
	mux        *http.ServeMux
	door       *Door
	registered map[string]http.Handler // by the pattern of a route
}

// redirect is the type of the handler that a mux returns for a path that it redirects to
// the spelling of a pattern.
var redirect = reflect.TypeOf(http.RedirectHandler("/", http.StatusTemporaryRedirect))

func (h *routed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, pattern := h.mux.Handler(r)
	to := h.door.own
	isRedirect := reflect.TypeOf(found) == redirect
	// The mux returns the pattern for its redirects, too. Unless the route is a redirect
	// itself, such a request does not reach it yet.
	if at := h.door.routes[pattern]; at != nil && (!isRedirect || found == h.registered[pattern]) {
		to = at
	}
	if isRedirect && r.Method == http.MethodConnect {
		pattern = "" // it may be the path that the client sent
	}
	to.serve(w, r, pattern, h.mux)
}
