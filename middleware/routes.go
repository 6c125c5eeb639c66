package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Route gives the requests that one pattern of a [http.ServeMux] matches limits, or a
// cost, of their own.
type Route struct {
	// Pattern is as it is registered with the mux: "GET /export/{id}".
	Pattern string
	// Limits hold each key on this route, beside the key's own limits: all are decided
	// together, in one trip, and none is charged unless all of them admit. A limit
	// without a name has that of the pattern, "GET /export/{id}", a limit that is
	// [ratelimit.Limit.Named] "daily" that of both, "GET /export/{id}#daily".
	Limits []ratelimit.Limit
	// Instead puts Limits in place of the key's own. An exempt key stays exempt.
	Instead bool
	// Cost is how many tokens a request takes, of each limit, the key's own included. 0
	// means as Config.Cost says. A cost above a limit's burst is always denied. Where that
	// holds for all keys, since they all have the same limits, it is an error; with a table,
	// or with limits that are looked up, only keys with more, and exempt ones, can use the
	// route.
	Cost int
}

// Routes returns a handler that serves mux behind limiter, as [RateLimit] does, but with
// limits and costs by route: call it when all patterns are registered. A nil mux is
// [http.DefaultServeMux].
//
// The route of a request is that of the pattern that the mux finds for it, so neither its
// spelling nor its method makes another one. What the mux answers by itself, a 404, a 405
// or a redirect to the right spelling of a path, is held to the key's own limits, and so
// are patterns that are not in routes: nothing is unlimited. The route is found before the
// functions of c are called, so they must not change the request: the mux would serve it by
// another pattern than the one whose limits it was held to.
//
// Limits of two routes never share a bucket, nor does one with a key's own limits: see
// [RouteName]. Where a key's own limits have the name of a route's, or are too many beside
// them, that is an error here, or when they are put into the limiter's [ratelimit.Table];
// with limits that are looked up elsewhere it is a fault of each decision. Limiters on one
// store share the bucket of a key and a name, as ever: so do two muxes with the same
// pattern, unless the limits of one are named.
//
// The error joins all faults, those of c and limiter included.
func Routes(limiter *ratelimit.Limiter, mux *http.ServeMux, c Config, routes ...Route) (http.Handler, error) {
	if mux == nil {
		mux = http.DefaultServeMux
	}
	var faults []error
	own, err := newHandler(limiter, c)
	if err != nil {
		faults = append(faults, err)
		own = &handler{} // for the faults of the routes
	}
	own.next = mux
	h := &routed{mux: mux, own: own, routes: make(map[string]*route, len(routes))}
	for i, r := range routes {
		made, err := r.behind(limiter, own, mux)
		if _, twice := h.routes[r.Pattern]; twice {
			err = errors.Join(err, errors.New("Route.Pattern must differ from those of the other routes; give all limits of a pattern in one Route"))
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("middleware: Routes: routes[%d] %q: %w", i, r.Pattern, err))
		}
		h.routes[r.Pattern] = made
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return h, nil
}

// behind returns the route with a handler of its own, made after the one of all others.
// The error joins all its faults.
func (r *Route) behind(limiter *ratelimit.Limiter, own *handler, mux *http.ServeMux) (*route, error) {
	var faults []error
	registered, err := lookUp(mux, r.Pattern)
	if err != nil {
		faults = append(faults, err)
	}
	if r.Cost < 0 {
		faults = append(faults, fmt.Errorf("Route.Cost %d must not be negative; 0 means as Config.Cost says", r.Cost))
	}
	if len(r.Limits) == 0 && (r.Cost == 0 || r.Instead) {
		faults = append(faults, errors.New("Route.Limits must be given, or Route.Cost, and with Route.Instead always limits; to exempt requests, use Config.Skip"))
	}
	h := *own
	if unusable(limiter) == nil {
		faults = append(faults, r.neverAdmitted(limiter.Limits())...)
		if len(r.Limits) > 0 {
			if limiter, err = r.limiter(limiter); err != nil {
				faults = append(faults, err)
			}
			h.reply = own.config.newReply() // the policies of each route are remembered apart from the others'
		}
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if own.gate != nil {
		h.gate = own.gate.With(limiter, r.Cost)
	}
	return &route{handler: &h, registered: registered}, nil
}

// neverAdmitted returns a fault for each limit that has no room for the cost of the route,
// if all keys have the same limits.
func (r *Route) neverAdmitted(own ratelimit.Limits) (faults []error) {
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
		if r.Cost > burst && l.Validate() == nil && (!l.Shadow || l.EnforceFrom != 0) {
			faults = append(faults, fmt.Errorf("Route.Cost %d must be at most %d, the burst of the limit %v, or no request is ever admitted", r.Cost, burst, l))
		}
	}
	return faults
}

// limiter returns the limiter of the route.
func (r *Route) limiter(own *ratelimit.Limiter) (*ratelimit.Limiter, error) {
	var faults []error
	limits := make([]ratelimit.Limit, len(r.Limits))
	for i, l := range r.Limits {
		if err := l.Validate(); err != nil {
			faults = append(faults, err)
		}
		limits[i] = l.Named(RouteName(r.Pattern, l.Name))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if r.Instead {
		return own.Instead(limits...)
	}
	return own.With(limits...)
}

// routed serves a mux behind a limiter for each route.
type routed struct {
	mux    *http.ServeMux
	own    *handler          // where the key's own limits hold
	routes map[string]*route // by pattern
}

type route struct {
	handler    *handler
	registered http.Handler
}

// redirect is the type of what a mux answers a path with that is spelled otherwise than
// its pattern.
var redirect = reflect.TypeOf(http.RedirectHandler("/", http.StatusTemporaryRedirect))

func (h *routed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	found, pattern := h.mux.Handler(r)
	to := h.own
	isRedirect := reflect.TypeOf(found) == redirect
	// The mux tells a redirect's pattern, too: unless it was registered so, it is no
	// request to that route yet.
	if at := h.routes[pattern]; at != nil && (!isRedirect || found == at.registered) {
		to = at.handler
	}
	if isRedirect && r.Method == http.MethodConnect {
		pattern = "" // it may be the path that the caller sent
	}
	to.serve(w, r, pattern)
}
