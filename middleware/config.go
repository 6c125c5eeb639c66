package middleware

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/ratelimit"
)

// MaxJitter is the largest Config.Jitter.
const MaxJitter = time.Hour

// Config configures [RateLimit] and [Routes]. The zero value limits each client address,
// serves requests while the store fails, and logs faults to slog.Default.
//
// The functions in it are called for every request, concurrently, and must not change
// the request. If one panics, that is a fault.
type Config struct {
	// Key finds whose bucket a request takes from. The zero Key is the client's address,
	// which is also used for a request without a key, and if a [KeyFunc] panics.
	Key Key
	// TrustedProxies are the peers whose X-Forwarded-For is trusted when a request is
	// limited by its address: see [ClientIP]. Empty means that no header is trusted. A
	// prefix shorter than /8 of IPv4 or /7 of IPv6 contains addresses of strangers: it is
	// an error.
	TrustedProxies []netip.Prefix
	// TrustUnixSocket also trusts peers without an address, those of a Unix socket, whose
	// RemoteAddr is "@", "" or a path. Set it if only your own proxy can open the socket,
	// and no handler in front of this middleware lets a client choose RemoteAddr.
	TrustUnixSocket bool
	// AddressHeader is the header in which trusted peers write the client's address,
	// instead of X-Forwarded-For. "Forwarded" is read as a list of hops (RFC 7239) in the
	// same way. Any other holds one address: "CF-Connecting-IP", "True-Client-IP",
	// "Fly-Client-IP", "X-Real-IP". If the header is missing or is not an address, the
	// peer's address counts; if it is there twice or is a list, the request gets 400. Use a
	// header only if the proxy replaces what a client sends under that name, and if
	// clients cannot reach the peer without that proxy.
	AddressHeader string
	// RequireKey responds with 401 to a request without a key, instead of limiting it by
	// its address.
	RequireKey bool
	// Challenge is the WWW-Authenticate header of that 401. "" means "ApiKey". Use
	// "Bearer" with [Bearer].
	Challenge string
	// Cost returns how many tokens a request takes. nil means 1. A request of cost 0 is
	// free, takes no place in a limit on concurrent calls, and gets the headers. A cost above
	// a limit's burst is always denied. If Cost panics or returns less than 0, the request
	// costs 1.
	Cost func(*http.Request) int
	// Reserve is for requests whose price is known only when they have ended, such as calls
	// of a language model. It takes the place of Cost, and returns an estimate in tokens,
	// which no other request gets until the handler has returned. Then the price is charged:
	// what the handler has given to [Settle], or else what SettleBy returns, or else the
	// estimate. A request with an estimate of 0 is free, whatever its price. If Reserve
	// panics or returns less than 0, the estimate is 1. The store must be a [store.Holder].
	Reserve func(*http.Request) int
	// SettleBy returns the price of a request in tokens by the status and the headers of the
	// response, where the handler has not called [Settle]. Reserve or Cost is the estimate. It
	// is called for every request that is served, before the headers are sent, and may change
	// them: a header that only reports the price need not reach the client. If the handler
	// has not responded, the status is 200, and 101 if it has taken over the connection. If
	// the handler panics, the status is 500; if another one was sent before, SettleBy is called
	// a second time, and the last price counts. If SettleBy panics or returns less than 0, the
	// estimate counts. The store must be a [store.Holder].
	//
	// A client does not lower its price by a disconnect. If it has gone before the response
	// begins, the request pays at least its estimate. If it goes later, the price of the status
	// that was sent counts, even if the handler panics. A client has gone if the context of the
	// request is canceled, the body of the request cannot be read, or the handler panics with
	// [http.ErrAbortHandler]. The deadline of a context is yours; a panic after it changes no
	// price of a response that has begun.
	//
	// The body of the request and the ResponseWriter of the handler are then not those of the
	// server. The ResponseWriter has the same optional methods, and Unwrap for [http.ResponseController]; only
	// [http.MaxBytesReader] needs the server's to end the connection after a body that is too
	// large.
	SettleBy func(status int, h http.Header) int
	// Skip reports whether a request is exempt: it takes nothing and gets no headers. If
	// Skip panics, the request is not exempt.
	Skip func(*http.Request) bool
	// BlockedStatus is the status of the response to a key that is blocked: 403 or 429. 0
	// means 403: most clients repeat a request after a 429, and a block is lifted by people. The
	// response has Retry-After only if the block has an end, and no rate-limit headers.
	BlockedStatus int
	// Denied, if not nil, responds in place of the 429 problem and chooses the status, also to
	// a key that is blocked: see [ratelimit.Result.Blocked]. The rate-limit headers and
	// Retry-After are set before. If it panics or returns without
	// having written anything, the problem is sent. Its ResponseWriter has only the usual
	// three methods; http.ResponseController finds the others.
	Denied func(http.ResponseWriter, *http.Request, ratelimit.Result)
	// FailClosed responds with 503 when the limiter cannot decide. Otherwise the handler
	// runs, without a limit and without headers.
	FailClosed bool
	// LimitHeader is the form of X-Rate-Limit-Limit. The zero value is [LimitAsCount].
	LimitHeader LimitForm
	// ResetHeader adds X-Rate-Limit-Reset in this form. The zero value is [ResetOff].
	ResetHeader ResetForm
	// Jitter is the longest random time that is added to Retry-After, so that clients that
	// were denied together do not come back together. 0 means none, and [MaxJitter] is the
	// most.
	Jitter time.Duration
	// DisableQueue reports the same wait to all denied clients of a key: the time until the
	// bucket has room for one of them. Otherwise each gets the next place in a queue, at
	// most one refill of the bucket later, and Retry-After, Retry-After-Ms, retry_after_ms
	// and the t of RateLimit report the time until then. The queue reserves nothing, and
	// does not change the Result.
	DisableQueue bool
	// ResultInContext makes the decision and the key available to the handler through
	// [ResultFrom] and [KeyFrom]. It copies the request, which costs two allocations.
	ResultInContext bool
	// Observe, if not nil, is called once for each request, when its [Outcome] is certain
	// and before the handler runs or a response is written. It runs on the request's
	// goroutine and must be quick. If it panics, the outcome stands.
	Observe func(*http.Request, Event)
	// OnFault, if not nil, is called with the class of each fault: one of the Fault
	// constants, or what [store.ErrorClass] returns for the error of a decision. The
	// context has the values of the request's context. OnFault must be quick.
	OnFault func(ctx context.Context, class string)
	// Logger gets a line for a fault, at most one a second, with the class and the
	// number of faults since the last line. nil means slog.Default().
	Logger *slog.Logger
}

// faults returns everything that is wrong with c.
func (c *Config) faults() (faults []error) {
	fault := func(field string, value any, want string) {
		faults = append(faults, fmt.Errorf("middleware: Config.%s %v %s", field, value, want))
	}
	for _, err := range c.Key.faults {
		faults = append(faults, fmt.Errorf("middleware: Config.Key: %w", err))
	}
	for i, p := range c.TrustedProxies {
		if want := address.Fault(p); want != "" {
			fault(fmt.Sprintf("TrustedProxies[%d]", i), p, want)
		}
	}
	if c.AddressHeader != "" && !isToken(c.AddressHeader) {
		fault("AddressHeader", fmt.Sprintf("%q", c.AddressHeader), `must be the name of a header, such as "CF-Connecting-IP"`)
	}
	if c.AddressHeader != "" && len(c.TrustedProxies) == 0 && !c.TrustUnixSocket {
		fault("AddressHeader", fmt.Sprintf("%q", c.AddressHeader), "needs TrustedProxies or TrustUnixSocket: it is believed only if they send it")
	}
	if c.RequireKey && c.Key.find == nil && c.Key.faults == nil {
		fault("RequireKey", true, `needs a Key, such as middleware.Header("X-API-Key")`)
	}
	if c.Reserve != nil && c.Cost != nil {
		faults = append(faults, errors.New("middleware: Config.Reserve must not be set beside Cost; use Cost if the price is known before the handler runs, and Reserve if it is not"))
	}
	if c.SettleBy != nil && c.Reserve == nil && c.Cost == nil {
		faults = append(faults, errors.New("middleware: Config.SettleBy needs Reserve, or Cost: an estimate that is held until the price is known, such as 1"))
	}
	if !validChallenge(c.Challenge) {
		fault("Challenge", fmt.Sprintf("%q", c.Challenge), `must be printable ASCII, such as "Bearer"`)
	}
	if c.LimitHeader < LimitAsCount || c.LimitHeader > LimitAsPeriod {
		fault("LimitHeader", int(c.LimitHeader), "must be LimitAsCount or LimitAsPeriod")
	}
	if c.ResetHeader < ResetOff || c.ResetHeader > ResetAsTime {
		fault("ResetHeader", int(c.ResetHeader), "must be ResetOff, ResetAsDelta, ResetAsEpoch or ResetAsTime")
	}
	if c.BlockedStatus != 0 && c.BlockedStatus != http.StatusForbidden && c.BlockedStatus != http.StatusTooManyRequests {
		fault("BlockedStatus", c.BlockedStatus, "must be 403 or 429; 0 means 403")
	}
	if c.Jitter < 0 || c.Jitter > MaxJitter {
		fault("Jitter", c.Jitter, fmt.Sprintf("must be from 0 to %v", MaxJitter))
	}
	return faults
}

// priced reports whether the price of a request is known when it ends.
func (c *Config) priced() bool { return c.Reserve != nil || c.SettleBy != nil }

// limiterFault returns an error if limiter cannot decide, or cannot hold tokens and prices are
// settled.
func (c *Config) limiterFault(limiter *ratelimit.Limiter) error {
	if err := unusable(limiter); err != nil || !c.priced() || limiter.Holds() {
		return err
	}
	field := "Reserve"
	if c.Reserve == nil {
		field = "SettleBy"
	}
	return fmt.Errorf("middleware: Config.%s needs a limiter whose store is a store.Holder, such as a memstore.Store, to hold tokens", field)
}

// validChallenge reports whether s can be the value of a header.
func validChallenge(s string) bool {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}
