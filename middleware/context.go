package middleware

import (
	"context"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

type resultKey struct{}

// ResultFrom returns the decision about the request with the context ctx, and reports
// whether there is one: Config.ResultInContext must be set, and the limiter must have
// decided. Of nested middlewares with ResultInContext, the innermost one counts. There is a
// decision in shadow mode, too: see [ratelimit.Result.WouldDeny].
func ResultFrom(ctx context.Context) (ratelimit.Result, bool) {
	r, ok := ctx.Value(resultKey{}).(ratelimit.Result)
	return r, ok
}

func withResult(r *http.Request, result ratelimit.Result) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), resultKey{}, result))
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
