package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

type resultKey struct{}

// ResultFrom returns the decision about the request with the context ctx, and
// whether there is one: Config.ResultInContext must be set, and the request must
// have been decided. Of nested middlewares, the innermost that is set so counts. A
// decision is there in shadow mode, too: see [ratelimit.Result.WouldDeny].
func ResultFrom(ctx context.Context) (ratelimit.Result, bool) {
	r, ok := ctx.Value(resultKey{}).(ratelimit.Result)
	return r, ok
}

func withResult(r *http.Request, result ratelimit.Result) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), resultKey{}, result))
}

// A decisionContext is the context of a request with its values, but without its
// end: a caller that hangs up has called all the same, and pays. Otherwise a client
// that cancels each request at once, the HTTP/2 rapid reset (CVE-2023-44487), would
// be served for nothing. The limiter's own timeout holds. It is the request itself
// under another type, which spares the allocation of context.WithoutCancel.
type decisionContext http.Request

func (c *decisionContext) Deadline() (time.Time, bool) { return time.Time{}, false }
func (c *decisionContext) Done() <-chan struct{}       { return nil }
func (c *decisionContext) Err() error                  { return nil }
func (c *decisionContext) Value(key any) any           { return (*http.Request)(c).Context().Value(key) }
