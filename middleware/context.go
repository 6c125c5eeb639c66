package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/ratelimit"
)

// ResultFrom returns the decision about the request with the context ctx, and reports
// whether there is one: Config.ResultInContext must be set, and the limiter must have
// decided. Of nested middlewares with ResultInContext, the innermost one counts. There is a
// decision in shadow mode, too: see [ratelimit.Result.WouldDeny].
func ResultFrom(ctx context.Context) (ratelimit.Result, bool) { return gate.ResultFrom(ctx) }

// KeyFrom returns the key of the request with the context ctx, as the limiter got it, and
// reports whether there is one: Config.ResultInContext must be set. A request has a key even
// if it is exempt or the limiter could not decide, but not if Config.Skip exempts it. Of
// nested middlewares with ResultInContext, the innermost one that has a key counts.
//
// The key is that of [BucketKey], a hash of a key that is long, or that of [AddressKey], which
// [IsAddressKey] recognizes. It may be a secret, such as an API key, and it has not been
// verified unless your Key does that. Do not log it: use [ratelimit.HashKey].
func KeyFrom(ctx context.Context) (string, bool) { return gate.KeyFrom(ctx) }

// withDecision returns the request for the handler, with its key and what was decided.
func withDecision(r *http.Request, call *gate.Call) *http.Request {
	return r.WithContext(gate.WithDecision(r.Context(), call))
}

// A decisionContext is the context of a request, which does not end when the client
// disconnects: the request is still charged. Otherwise a client that cancels each request
// at once, the HTTP/2 rapid reset (CVE-2023-44487), would be served for nothing. The
// limiter's own timeout applies. A decisionContext is the request itself under another
// type, which saves the allocation of context.WithoutCancel.
type decisionContext http.Request

func (c *decisionContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *decisionContext) Done() <-chan struct{}       { return nil }
func (c *decisionContext) Err() error                  { return nil }
func (c *decisionContext) Value(key any) any           { return (*http.Request)(c).Context().Value(key) }
