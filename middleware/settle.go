package middleware

import (
	"context"
	"net/http"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// Settle sets the price of the request with the context ctx to n tokens, in place of the
// estimate. It is for handlers behind a middleware with Config.Reserve or Config.SettleBy:
//
//	used, err := model.Complete(ctx, w)
//	middleware.Settle(r.Context(), used)
//
// The price is charged when the handler has returned, or after the last release of [Keep]. The
// first call counts. Settle returns false, and does nothing, if the request holds no estimate,
// since its key is exempt or the limiter could not decide, if its price is set already, and if
// n is negative, which is a fault. A price above the estimate is charged, too, though it may
// exceed the limit; then later requests wait until the debt has drained. Of nested middlewares
// that hold an estimate, the innermost one counts.
func Settle(ctx context.Context, n int) bool {
	for c, ok := gate.HeldFrom(ctx); ok; c, ok = gate.HeldFrom(c.Context) {
		if c.Held.Priced() {
			return c.Held.Settle(ctx, n)
		}
	}
	return false
}

// serveHeld serves a request that holds something, or whose response SettleBy must see.
//
// The hold ends on this goroutine after the handler, and before net/http completes the
// response: a client that has read all of it finds its place free. What the handler has flushed
// is not delayed; the rest is, by the time that the store takes.
func (h *handler) serveHeld(w http.ResponseWriter, r *http.Request, hold *ratelimit.Hold, cost int, next http.Handler) {
	var c *gate.HeldContext
	if hold != nil {
		c = &gate.HeldContext{Context: r.Context()}
		h.gate.Begin(&c.Held, hold, cost)
		r = r.WithContext(c)
		defer c.Held.Done((*decisionContext)(r))
	}
	if h.config.SettleBy == nil {
		next.ServeHTTP(w, r)
		return
	}
	o := &outcome{ResponseWriter: w, request: r, upload: upload{ReadCloser: r.Body}}
	o.settle = func(status int, gone bool) {
		least := 0
		if gone {
			least = cost
		}
		h.settleBy(w, r, c, status, least)
	}
	if c != nil && r.Body != nil && r.Body != http.NoBody {
		r.Body = &o.upload // r is a copy
	}
	returned := false
	defer func() {
		if returned {
			o.begin(http.StatusOK)
			return
		}
		v := recover()
		o.panicked(v)
		if v != nil { // nil is runtime.Goexit, which goes on by itself
			panic(v)
		}
	}()
	next.ServeHTTP(o.writer(), r)
	returned = true
}

// settleBy calls Config.SettleBy, and makes the price at least that.
func (h *handler) settleBy(w http.ResponseWriter, r *http.Request, c *gate.HeldContext, status, least int) {
	var n int
	switch {
	case store.Try(func() { n = h.config.SettleBy(status, w.Header()) }) != nil:
		h.gate.Report((*decisionContext)(r), FaultSettleByPanic, "ignored")
	case n < 0:
		h.gate.Report((*decisionContext)(r), FaultNegativePrice, "ignored")
	case c != nil:
		c.Held.SetUsual(max(n, least))
	}
}
