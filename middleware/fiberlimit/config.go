package fiberlimit

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/gofiber/fiber/v3"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// Config configures [New] and [Around]. The zero value limits each client address, serves
// requests while the store fails, and logs faults to slog.Default.
//
// The fields are those of [middleware.Config], which describes them in full. The functions are
// called for every request, concurrently, and must not change the request. If one panics, that is a
// fault. They must not keep the [fiber.Ctx], nor a string of it.
type Config struct {
	// Key finds whose bucket a request takes from. The zero Key is the client's address, which is
	// also used for a request without a key, and if a [KeyFunc] panics.
	Key Key
	// TrustedProxies are the peers whose X-Forwarded-For is trusted when a request is limited by
	// its address: see [middleware.ClientIP]. The proxies in the Config of fiber play no part.
	TrustedProxies []netip.Prefix
	// TrustUnixSocket also trusts peers on a Unix socket.
	TrustUnixSocket bool
	// AddressHeader is the header in which trusted peers write the client's address, instead of
	// X-Forwarded-For: see [middleware.Config].
	AddressHeader string
	// RequireKey responds with 401 to a request without a key, instead of limiting it by its
	// address.
	RequireKey bool
	// Challenge is the WWW-Authenticate header of that 401. "" means "ApiKey". Use "Bearer" with
	// [Bearer].
	Challenge string
	// Cost returns how many tokens a request takes. nil means 1. A request of cost 0 is free.
	Cost func(fiber.Ctx) int
	// Reserve is for requests whose price is known only when they have ended. It takes the place
	// of Cost, and returns an estimate in tokens. Then the price is charged: what the handler has
	// given to [middleware.Settle], or else what SettleBy returns, or else the estimate. The store
	// must be a [store.Holder].
	Reserve func(fiber.Ctx) int
	// SettleBy returns the price of a request in tokens by the status of the response, where the
	// handler has not called [middleware.Settle]. Reserve or Cost is the estimate. It is called
	// for every request that is served, when the handlers behind the middleware have returned, and
	// may read and change the response. If they returned an error, the status is the Code of a
	// [fiber.Error], and else 500, as by the ErrorHandler that fiber has; if they panicked, it is
	// 500. If SettleBy panics or returns less than 0, the estimate counts. The store must be a
	// [store.Holder].
	SettleBy func(status int, c fiber.Ctx) int
	// Skip reports whether a request is exempt: it takes nothing and gets no headers.
	Skip func(fiber.Ctx) bool
	// Denied, if not nil, responds in place of the 429 problem and chooses the status, also to a
	// key that is blocked. The rate-limit headers and Retry-After are set before. An error that it returns is passed on, so
	// that the ErrorHandler of the app responds. If it panics, or returns nil without having set a
	// status or a body, the problem is sent.
	Denied func(fiber.Ctx, ratelimit.Result) error
	// BlockedStatus is the status of the response to a key that is blocked, 403 or 429: see
	// [middleware.Config].
	BlockedStatus int
	// FailClosed responds with 503 when the limiter cannot decide. Otherwise the handler runs,
	// without a limit and without headers.
	FailClosed bool
	// LimitHeader is the form of X-Rate-Limit-Limit.
	LimitHeader middleware.LimitForm
	// ResetHeader adds X-Rate-Limit-Reset in this form.
	ResetHeader middleware.ResetForm
	// Jitter is the longest random time that is added to Retry-After, at most
	// [middleware.MaxJitter].
	Jitter time.Duration
	// DisableQueue reports the same wait to all denied clients of a key.
	DisableQueue bool
	// ResultInContext makes the decision and the key available to the handler: see
	// [middleware.ResultFrom] and [middleware.KeyFrom].
	ResultInContext bool
	// Observe, if not nil, is called once for each request, when its outcome is certain and before
	// the handler runs or a response is written. The Pattern of the event is the method and the
	// path of the route, such as "GET /export/:id", and "" in a middleware that is registered with
	// Use.
	Observe func(fiber.Ctx, middleware.Event)
	// OnFault, if not nil, is called with the class of each fault: one of the Fault constants of
	// package middleware, [FaultNoRoute], or what [store.ErrorClass] returns for the error of a
	// decision. The context has the values of c.Context().
	OnFault func(ctx context.Context, class string)
	// Logger gets a line for a fault, at most one a second. nil means slog.Default().
	Logger *slog.Logger
}

// FaultNoRoute is the class of the fault that a request had no route yet, though the middleware has
// limits of routes: it is registered with Use. The key's own limits applied.
const FaultNoRoute = "no-route"

// likeNetHTTP returns the Config of package middleware that has the same faults.
func (c *Config) likeNetHTTP() middleware.Config {
	like := middleware.Config{
		Key: c.Key.like, TrustedProxies: c.TrustedProxies, TrustUnixSocket: c.TrustUnixSocket, AddressHeader: c.AddressHeader,
		RequireKey: c.RequireKey, Challenge: c.Challenge, BlockedStatus: c.BlockedStatus, LimitHeader: c.LimitHeader, ResetHeader: c.ResetHeader, Jitter: c.Jitter,
	}
	if c.Cost != nil {
		like.Cost = func(*http.Request) int { return 1 }
	}
	if c.Reserve != nil {
		like.Reserve = func(*http.Request) int { return 1 }
	}
	if c.SettleBy != nil {
		like.SettleBy = func(int, http.Header) int { return 1 }
	}
	return like
}
