package middleware

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/ratelimit"
)

// RateLimit returns a middleware that lets a request pass to the handler if limiter
// allows it, and answers 429 if not. The package comment describes the whole way.
//
// Handlers that one such middleware wraps share the limits of limiter. Where two of
// these middlewares are nested, a request must pass both, and the response has the
// headers of the one with less room; if their limiters share a store, their limits
// need names of their own ([ratelimit.Limit.Named]), or they share buckets, too. The same
// middleware around a handler twice charges each call twice, which is reported once, as
// [FaultChargedTwice]. Where one is directly around the other, that is reported at once,
// and the inner one does nothing.
//
// The error joins all faults of c and limiter, each with the field, its value and what it
// must be. See [Must] for a program that cannot go on without its limits.
func RateLimit(limiter *ratelimit.Limiter, c Config) (func(http.Handler) http.Handler, error) {
	template, err := newGate(limiter, c)
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			next = http.DefaultServeMux // as in http.Server
		}
		g := *template
		g.next = next
		g.twice = template.twice.all.add()
		if inner, ok := next.(*gate); ok && inner.twice.all == g.twice.all {
			g.faults.report(context.Background(), FaultChargedTwice, "the inner one of two does nothing")
			g.next = inner.next
			inner.twice.leave()
		}
		return &g
	}, nil
}

// Must returns v, and panics if err is not nil. It is for the start of a program that
// cannot go on without its limits, as [html/template.Must] is:
//
//	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))
//
// It is the one function of this package that panics.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// unusable returns an error if a limiter is nil or zero and cannot decide.
func unusable(limiter *ratelimit.Limiter) error {
	switch {
	case limiter == nil:
		return errors.New("middleware: limiter is nil; make one with ratelimit.New, and look at its error")
	case limiter.ShadowReport().Since.IsZero(): // any other counts since it was made
		return errors.New("middleware: limiter is the zero Limiter; make one with ratelimit.New, and look at its error")
	}
	return nil
}

// A gate is a handler behind a limiter.
type gate struct {
	limiter  *ratelimit.Limiter
	config   Config
	trusted  address.Proxies
	faults   *faults
	wordings *wordings
	places   *places // nil with Config.DisableQueue
	next     http.Handler
	twice    twice
}

// newGate returns a gate that leads nowhere yet. Copies of it share what it remembers. The
// error joins all faults of limiter and c.
func newGate(limiter *ratelimit.Limiter, c Config) (*gate, error) {
	err := errors.Join(append(c.faults(), unusable(limiter))...)
	c.Challenge = cmp.Or(c.Challenge, "ApiKey")
	g := &gate{
		limiter:  limiter,
		config:   c,
		trusted:  address.NewProxies(c.TrustedProxies, c.TrustUnixSocket, http.CanonicalHeaderKey(c.AddressHeader)),
		faults:   &faults{hook: c.OnFault, logger: c.Logger},
		wordings: &wordings{form: c.LimitHeader},
	}
	g.twice.all = new(gates)
	if !c.DisableQueue {
		g.places = newPlaces()
	}
	return g, err
}

// ServeHTTP decides, and then serves or refuses. It recovers no panic of the
// handler: that is done around each of the user's functions, below.
func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) { g.serve(w, r, r.Pattern) }

// serve is ServeHTTP for a request whose pattern is known.
func (g *gate) serve(w http.ResponseWriter, r *http.Request, pattern string) {
	a := g.arrive(r, pattern)
	switch {
	case isPreflight(r):
		g.observe(a, OutcomePreflight, true, nil, "")
		g.next.ServeHTTP(w, r)
		return
	case g.skip(r):
		g.observe(a, OutcomeSkipped, true, nil, "")
		g.next.ServeHTTP(w, r)
		return
	}
	key, err := g.key(r)
	if key == "" {
		g.withoutKey(w, a, err)
		return
	}
	var result ratelimit.Result
	if err := g.decide(r, key, g.cost(r), &result); err != nil {
		g.undecided(w, a, err, result.Shadow || g.limiter.Shadow())
		return
	}
	g.observe(a, outcomeOf(&result), result.Allowed, &result, "")
	if result.Allowed && result.Cost > 0 && !result.Exempt() && g.twice.all.waiting.Load() > 0 {
		var found bool
		if r, found = g.twice.look(r, key); found {
			g.faults.report(r.Context(), FaultChargedTwice, "charged by the same middleware twice")
		}
	}
	if !result.Allowed {
		g.deny(w, r, key, &result)
		return
	}
	if !result.Shadow && !result.Exempt() {
		g.describe(w.Header(), &result)
	}
	if g.config.ResultInContext {
		r = withResult(r, result)
	}
	g.next.ServeHTTP(w, r)
}

// isPreflight tells a CORS preflight, as the Fetch standard defines it (section
// 3.2.2), from other requests. A browser sends it of its own accord and cannot give
// a key with it. So it is free, and a handler behind must answer it at little cost.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

func (g *gate) skip(r *http.Request) (skip bool) {
	if g.config.Skip == nil {
		return false
	}
	defer func() {
		if recover() != nil {
			g.faults.report(r.Context(), FaultSkipPanic, "limited all the same")
			skip = false
		}
	}()
	return g.config.Skip(r)
}

// key returns the key for the limiter, or "" for a request to deny: with ErrAmbiguous or
// errAddresses, or without an error because it has no key.
func (g *gate) key(r *http.Request) (key string, err error) {
	defer func() {
		if recover() != nil {
			g.faults.report(r.Context(), FaultKeyPanic, "limited by address")
			key, err = addressOf(r, &g.trusted)
		}
	}()
	key, err = g.config.Key.of(r, &g.trusted)
	switch {
	case err == nil:
	case errors.Is(err, errAddresses):
		return "", errAddresses
	case errors.Is(err, ErrAmbiguous):
		return "", ErrAmbiguous
	default:
		g.faults.report(r.Context(), FaultKey, "treated as without a key")
		key = ""
	}
	if key == "" && !g.config.RequireKey {
		return addressOf(r, &g.trusted)
	}
	return key, nil
}

func (g *gate) cost(r *http.Request) (n int) {
	if g.config.Cost == nil {
		return 1
	}
	defer func() {
		if recover() != nil {
			g.faults.report(r.Context(), FaultCostPanic, "counted as 1")
			n = 1
		}
	}()
	if n = g.config.Cost(r); n < 0 {
		g.faults.report(r.Context(), FaultNegativeCost, "counted as 1")
		n = 1
	}
	return n
}

// decide asks the limiter. A store that panics must not bring the request down.
func (g *gate) decide(r *http.Request, key string, cost int, result *ratelimit.Result) (err error) {
	defer func() {
		if recover() != nil {
			err = &ratelimit.StoreError{Class: ratelimit.ClassPanic}
		}
	}()
	*result, err = g.limiter.AllowN((*decisionContext)(r), key, cost)
	return err
}

// undecided serves or refuses a request about which nothing could be decided. Where
// nothing is enforced, it is served.
func (g *gate) undecided(w http.ResponseWriter, a arrival, err error, shadow bool) {
	class := ratelimit.ErrorClass(err)
	if !shadow && ratelimit.FailsClosed(err, g.config.FailClosed) {
		g.observe(a, OutcomeFailedClosed, false, nil, class)
		g.faults.report(a.Context(), class, "refused with 503")
		g.unavailable(w, a.Request)
		return
	}
	g.observe(a, OutcomeFailedOpen, true, nil, class)
	g.faults.report(a.Context(), class, "served without a limit")
	g.next.ServeHTTP(w, a.Request)
}

// withoutKey answers a request that is ambiguous or has no key. In shadow mode it
// is served: no decision is made about it either way.
func (g *gate) withoutKey(w http.ResponseWriter, a arrival, err error) {
	outcome, shadow := OutcomeNoKey, g.limiter.Shadow()
	if err != nil {
		outcome = OutcomeAmbiguous
	}
	g.observe(a, outcome, shadow, nil, "")
	switch {
	case shadow:
		g.next.ServeHTTP(w, a.Request)
	case err == nil:
		g.unauthorized(w, a.Request)
	case errors.Is(err, ErrAmbiguous):
		badRequest(w, a.Request, twoKeysBody)
	default:
		badRequest(w, a.Request, twoAddressesBody)
	}
}

// describe sets the headers of a request that was allowed.
func (g *gate) describe(dst http.Header, result *ratelimit.Result) {
	if len(dst) > 0 {
		if tighter(dst, result.Remaining) {
			return
		}
		delete(dst, HeaderReset)
	}
	var space [128]byte
	l := make(lines, 0, 3) // as many as there can be
	g.setLimits(dst, &l, g.wordings.of(result), result, space[:0], nil)
}
