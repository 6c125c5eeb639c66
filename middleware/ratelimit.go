package middleware

import (
	"cmp"
	"context"
	"errors"
	"net/http"

	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
)

// RateLimit returns a middleware that lets a request pass to the handler if limiter
// allows it, and answers 429 if not. The package comment describes the whole way.
//
// All handlers behind the middleware share the limits of limiter. If two such middlewares
// are nested, a request must pass both, and the response has the headers of the one with
// less room. If their limiters share a store, give their limits different names with
// [ratelimit.Limit.Named], or they share buckets. If the same middleware is around a
// handler twice, each request is charged twice; that is reported once, as
// [FaultChargedTwice]. If one is directly around the other, it is reported at once, and the
// inner one does nothing.
//
// The error joins all faults of c and limiter, each with the field, its value and what it
// must be.
func RateLimit(limiter *ratelimit.Limiter, c Config) (func(http.Handler) http.Handler, error) {
	template, err := newHandler(limiter, c)
	if err != nil {
		return nil, err
	}
	return func(next http.Handler) http.Handler {
		if next == nil {
			next = http.DefaultServeMux // as in http.Server
		}
		h := *template
		h.next = next
		h.twice = template.twice.all.add()
		if inner, ok := next.(*handler); ok && inner.twice.all == h.twice.all {
			h.gate.Report(context.Background(), FaultChargedTwice, "the inner one of two does nothing")
			h.next = inner.next
			inner.twice.leave()
		}
		return &h
	}, nil
}

// Must returns v, or panics if err is not nil. Use it for one-liners in a program that
// cannot start without its limits, like [html/template.Must]:
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

// unusable returns an error if limiter is nil or the zero Limiter, and cannot decide.
func unusable(limiter *ratelimit.Limiter) error {
	switch {
	case limiter == nil:
		return errors.New("middleware: limiter is nil; make one with ratelimit.New, and look at its error")
	case limiter.ShadowReport().Since.IsZero(): // any other counts since it was made
		return errors.New("middleware: limiter is the zero Limiter; make one with ratelimit.New, and look at its error")
	}
	return nil
}

// A handler is a handler behind a limiter.
type handler struct {
	gate   *gate.Gate[*http.Request]
	reply  *reply.Reply
	config Config
	next   http.Handler
	twice  twice
}

// newHandler returns a handler without a next one. Copies of it share their memory of
// faults and places. The error joins all faults of limiter and c.
func newHandler(limiter *ratelimit.Limiter, c Config) (*handler, error) {
	if err := errors.Join(append(c.faults(), c.limiterFault(limiter))...); err != nil {
		return nil, err
	}
	c.Challenge, c.BlockedStatus = cmp.Or(c.Challenge, "ApiKey"), cmp.Or(c.BlockedStatus, http.StatusForbidden)
	trusted := address.NewProxies(c.TrustedProxies, c.TrustUnixSocket, http.CanonicalHeaderKey(c.AddressHeader))
	passing := gate.Config[*http.Request]{
		Key:     func(r *http.Request) (string, error) { return c.Key.of(r, &trusted) },
		Address: func(r *http.Request) (string, error) { return addressOf(r, &trusted) },
		Peer:    func(r *http.Request) string { return r.RemoteAddr },
		Free:    isPreflight,
		Skip:    c.Skip, Cost: c.Cost, Reserve: c.Reserve, Priced: c.priced(), RequireKey: c.RequireKey, FailClosed: c.FailClosed,
		DisableQueue: c.DisableQueue, Jitter: c.Jitter,
		OnFault: c.OnFault, Logger: c.Logger,
	}
	if c.Observe != nil {
		passing.Observe = func(r *http.Request, call gate.Call) {
			c.Observe(r, Event{Outcome(call.Outcome), call.Served, call.Pattern, call.Result, call.Class, call.Took})
		}
	}
	h := &handler{gate: gate.New(limiter, passing), reply: c.newReply(), config: c}
	h.twice.all = new(handlers)
	return h, nil
}

// newReply returns a Reply with an empty memory.
func (c *Config) newReply() *reply.Reply {
	return reply.New(c.LimitHeader == LimitAsPeriod, reply.ResetForm(c.ResetHeader))
}

// isPreflight reports whether r is a CORS preflight, as the Fetch standard defines it
// (section 3.2.2). A browser sends it by itself and cannot send a key with it. So it is
// free, and the handler must respond at little cost.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// ServeHTTP decides, and then serves or denies. It does not recover panics of the next
// handler, only those of the functions in Config.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve(w, r, r.Pattern, h.next) }

// serve is ServeHTTP for a request whose pattern is known, in front of next. It reports whether
// next was called.
func (h *handler) serve(w http.ResponseWriter, r *http.Request, pattern string, next http.Handler) (served bool) {
	call := gate.Call{Pattern: pattern}
	h.gate.Decide((*decisionContext)(r), r, &call)
	if !call.Served {
		h.deny(w, r, &call)
		return false
	}
	if call.Decided() && call.Outcome != gate.Exempt && call.Result.Cost() > 0 && h.twice.all.waiting.Load() > 0 {
		var found bool
		if r, found = h.twice.look(r, call.Key); found {
			h.gate.Report(r.Context(), FaultChargedTwice, "charged by the same middleware twice")
		}
	}
	if call.Outcome == gate.Allowed {
		h.reply.Allowed(w.Header(), &call.Result)
	}
	if h.config.ResultInContext && call.Key != "" {
		r = withDecision(r, &call)
	}
	if call.Hold != nil || h.config.SettleBy != nil {
		h.serveHeld(w, r, call.Hold, call.Result.Cost(), next)
		return true
	}
	next.ServeHTTP(w, r)
	return true
}
