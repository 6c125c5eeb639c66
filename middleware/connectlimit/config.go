package connectlimit

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/keyrate/keyrate/middleware"
)

// Config configures [New]. The zero value limits each client address, serves calls while the
// store fails, and logs faults to slog.Default.
//
// The functions in it are called for every call, concurrently. If one panics, that is a fault:
// the same happens as with those of [middleware.Config]. procedure is that of the call,
// "/package.Service/Method".
type Config struct {
	// Key finds whose bucket a call takes from. The zero Key is the address of the client,
	// which is also used for a call without a key.
	Key Key
	// TrustedProxies are the peers whose X-Forwarded-For is trusted when a call is limited by
	// its address. Empty means that no header is trusted: see [middleware.ClientIP].
	TrustedProxies []netip.Prefix
	// RequireKey returns connect.CodeUnauthenticated to a call without a key, instead of limiting it
	// by its address.
	RequireKey bool
	// Cost returns how many tokens a call takes. nil means 1. request is its message, or nil
	// when a stream opens. A call of cost 0 is free.
	Cost func(ctx context.Context, procedure string, request any) int
	// Reserve takes the place of Cost for calls whose price is known only when they have
	// ended. It returns an estimate in tokens, which is held until the handler returns. Then
	// the price is charged: what the handler has given to [middleware.Settle], or else the
	// estimate. The store must be a [store.Holder].
	Reserve func(ctx context.Context, procedure string, request any) int
	// MessageCost returns how many tokens a message takes that the client sends in a stream,
	// beside the stream's opening. nil means 0. A message over the limit ends the stream with
	// connect.CodeResourceExhausted: Receive returns that, and so does the stream, whatever the
	// handler returns. It cannot be used with limits on concurrent calls.
	MessageCost func(ctx context.Context, procedure string, message any) int
	// Skip reports whether a call is exempt, as health checks and reflection are.
	Skip func(ctx context.Context, procedure string) bool
	// BlockedAsExhausted returns connect.CodeResourceExhausted for a key that is blocked, in place of
	// connect.CodePermissionDenied: see [middleware.Config].BlockedStatus.
	BlockedAsExhausted bool
	// FailClosed returns connect.CodeUnavailable when the limiter cannot decide. Otherwise the
	// handler runs, without a limit.
	FailClosed bool
	// Jitter is the longest random time that is added to a wait, so that clients that were
	// denied together do not come back together. At most [middleware.MaxJitter].
	Jitter time.Duration
	// DisableQueue reports the same wait to all denied clients of a key, instead of places in
	// a queue: see [middleware.Config].
	DisableQueue bool
	// ResultInContext makes the decision and the key available to the handler through
	// [middleware.ResultFrom] and [middleware.KeyFrom].
	ResultInContext bool
	// Observe, if not nil, is called once for each call, and for each message with a cost, when
	// it is decided. The Pattern of the event is the procedure.
	Observe func(context.Context, middleware.Event)
	// OnFault, if not nil, is called with the class of each fault: see [middleware.Config].
	OnFault func(ctx context.Context, class string)
	// Logger gets a line for a fault, at most one a second. nil means slog.Default().
	Logger *slog.Logger
}
