package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/keyrate/keyrate/middleware/usage"
	"github.com/keyrate/keyrate/ratelimit"
)

// newProxy returns the way to the model API. It calls settle with the price of a request once
// that is known. A stream that reports no complete usage, such as one whose client has
// disconnected or has not asked for it, pays its estimate.
func newProxy(upstream *url.URL, settle func(ctx context.Context, n int), logger *slog.Logger) http.Handler {
	report := usage.Report(func(r *http.Request, u usage.Usage, ok bool) {
		if ok { // otherwise the estimate counts
			settle(r.Context(), u.Tokens())
		}
	})
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Header.Del("Authorization") // in its place comes that of the gateway
			r.Out.Header.Set("Accept-Encoding", "identity")
		},
		ModifyResponse: func(response *http.Response) error {
			if response.StatusCode >= http.StatusBadRequest {
				settle(response.Request.Context(), 0) // an error of the model is free
			}
			return report.ModifyResponse(response)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, _ error) {
			if r.Context().Err() == nil { // it is not the client that has gone
				settle(r.Context(), 0)
			}
			w.WriteHeader(http.StatusBadGateway)
		},
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
}

// afterwards returns what many do instead of Reserve: a request costs 1 until it ends, and the
// rest is charged then. Whatever runs at the same time has been admitted by then.
func afterwards(limiter *ratelimit.Limiter, logger *slog.Logger) func(ctx context.Context, n int) {
	return func(ctx context.Context, n int) {
		if _, err := limiter.Charge(context.WithoutCancel(ctx), keyOf(ctx), max(n-1, 0)); err != nil {
			logger.Warn("not charged", "err", err)
		}
	}
}
