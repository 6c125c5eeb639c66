package middleware

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/bound"
	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/middleware/internal/reply"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// QuotaConfig configures [Quota]. The zero value shows each client address its limits.
type QuotaConfig struct {
	// Config is that of the middleware whose limits are shown, so that both find the same key.
	// Quota uses Key, TrustedProxies, TrustUnixSocket, AddressHeader, RequireKey and Challenge,
	// the forms of headers, Jitter, DisableQueue, BlockedStatus, Denied for its own 429, OnFault
	// and Logger. It ignores the others, FailClosed and Skip among them: a Skip that exempts the
	// path of the quota must not make its callers look exempt.
	Config Config
	// Limit is how often a key may ask, by a bucket of its own on this node. It is a rate that
	// is neither shared nor shadow. The zero Limit is 5 per second with a burst of 10, and a
	// Limit without a name is named "quota".
	Limit ratelimit.Limit
	// HideRoutes leaves out the limits of routes, whose names are patterns that callers may not
	// know. It saves one decision of the store for each route.
	HideRoutes bool
}

// Quota returns a handler that shows callers their own limits: those of the key that sent the
// request, those that it shares with its organisation, and those of routes, if limiter is the
// one that [Routes] was given. It charges none of them:
//
//	{"unlimited":false,
//	 "limits":[{"name":"default","text":"5/s","unit":"requests","limit":5,"remaining":0,"held":0,"shared":false,
//	   "next_after_ms":200,"next_at":"2026-01-02T15:04:05.200Z","reset_after_ms":1000,"reset_at":"2026-01-02T15:04:06.000Z"}],
//	 "routes":[]}
//
// Each limit has its name, its text as [ratelimit.ParseLimit] reads it, its unit as in the
// RateLimit field, how many tokens the bucket holds, how many remain, how many requests in
// progress hold, and whether other keys share it. There is a token in next_after_ms, and all
// of them are back in reset_after_ms: milliseconds, rounded up. The instants are by this
// machine's clock. A limit on concurrent requests has no times; while
// tokens are held, times are lower bounds. Fields may be added.
//
// A key that is blocked gets what the middleware responds to it. A key without limits that
// are enforced gets "unlimited":true: an exempt key, and every key
// in shadow mode. Limits that are only watched are not shown. Of a route that has locked the key
// out, nothing remains until that ends; its times are lower bounds.
//
// The response has the headers of a request that [RateLimit] serves, and must not be stored. A
// request without a key is answered by its address, or with 401, as there. A key that asks too
// often gets 429, without a call of the store; keys may share a bucket for that where
// thousands ask at once. If the store fails, the response is a 503. Methods other than GET and
// HEAD get 405. Serve the handler outside the middleware, or each question costs a token.
//
// Each response costs the store one decision, and one for each route unless HideRoutes is set.
// The body has no key and no address. The error joins all faults of limiter and c.
func Quota(limiter *ratelimit.Limiter, c QuotaConfig) (http.Handler, error) {
	asked := Config{
		Key: c.Config.Key, TrustedProxies: c.Config.TrustedProxies, TrustUnixSocket: c.Config.TrustUnixSocket, AddressHeader: c.Config.AddressHeader,
		RequireKey: c.Config.RequireKey, Challenge: c.Config.Challenge, Denied: c.Config.Denied, FailClosed: true,
		BlockedStatus: c.Config.BlockedStatus, LimitHeader: c.Config.LimitHeader, ResetHeader: c.Config.ResetHeader, Jitter: c.Config.Jitter, DisableQueue: c.Config.DisableQueue,
		OnFault: c.Config.OnFault, Logger: c.Config.Logger,
	}
	own, wrong := c.limiter()
	if err := errors.Join(append(append(asked.faults(), unusable(limiter)), wrong...)...); err != nil {
		return nil, err
	}
	door, err := newHandler(own, asked)
	if err != nil {
		return nil, err
	}
	return &quota{limiter: limiter, door: door, reply: asked.newReply(), hideRoutes: c.HideRoutes}, nil
}

// limiter returns the limiter of c.Limit, or its faults.
func (c *QuotaConfig) limiter() (_ *ratelimit.Limiter, faults []error) {
	l := c.Limit
	if l == (ratelimit.Limit{}) {
		l = ratelimit.PerSecond(5).WithBurst(10)
	}
	if l.Name == "" {
		l = l.Named("quota")
	}
	if l.Concurrent || l.Shared || l.Shadow {
		return nil, []error{fmt.Errorf("middleware: QuotaConfig.Limit %v must be a rate that is neither shared nor shadow, such as PerSecond(5)", l)}
	}
	made, err := ratelimit.New(bound.New(), l, ratelimit.Config{})
	for _, fault := range ratelimit.Faults(err) {
		faults = append(faults, fmt.Errorf("middleware: QuotaConfig.Limit: %w", fault))
	}
	return made, faults
}

// A quota is the handler of Quota.
type quota struct {
	limiter    *ratelimit.Limiter
	door       *handler // finds the key, and bounds how often it asks
	reply      *reply.Reply
	hideRoutes bool
}

func (q *quota) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		reply.Problem(h)
		h.Set("Allow", "GET, HEAD")
		respond(w, r, http.StatusMethodNotAllowed, []byte(reply.MethodBody))
		return
	}
	var call gate.Call
	q.door.gate.Decide((*decisionContext)(r), r, &call)
	shadow := q.limiter.Shadow() // then requests without a key are served, too
	if !call.Served && (call.Key != "" || !shadow) {
		q.door.deny(w, r, &call)
		return
	}
	shown := newQuotaBody()
	if !shadow {
		own, parts, err := q.peek(r, call.Key)
		if err != nil {
			q.door.gate.Report((*decisionContext)(r), store.ErrorClass(err), "quota answered with 503")
			reply.Unavailable(h, time.Second)
			respond(w, r, http.StatusServiceUnavailable, []byte(reply.UnavailableBody))
			return
		}
		if own.Blocked() {
			call.Outcome, call.Result, call.Wait = gate.Blocked, own, q.door.gate.Wait(r, call.Key, &own)
			q.door.deny(w, r, &call)
			return
		}
		if shown.add(&own, parts); len(shown.Limits) > 0 {
			q.reply.Allowed(h, &own)
		}
	}
	body, _ := json.Marshal(shown) // of text and numbers
	reply.Problem(h)
	h.Set("Content-Type", "application/json")
	respond(w, r, http.StatusOK, append(body, '\n'))
}

// peek returns the state of the key's own limits, and of those of routes. A panic of the store
// is an error.
func (q *quota) peek(r *http.Request, key string) (own ratelimit.Result, parts []ratelimit.Result, err error) {
	if store.Try(func() {
		if own, err = q.limiter.Peek((*decisionContext)(r), key); err == nil && !q.hideRoutes {
			parts, err = q.limiter.PeekParts((*decisionContext)(r), key)
		}
	}) != nil {
		err = &store.Error{Class: store.ClassPanic}
	}
	return own, parts, err
}
