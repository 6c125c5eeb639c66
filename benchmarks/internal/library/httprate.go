package library

import (
	"net/http"

	"github.com/go-chi/httprate"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// httprateLimiter is httprate without headers: it decides nowhere but in a method
// that has a response to write them to.
type httprateLimiter struct {
	limiter *httprate.RateLimiter
	request *http.Request
}

func newHTTPRate(s Setting) (Limiter, error) {
	request, err := http.NewRequest(http.MethodGet, "/", nil) //nolint:noctx // it is sent nowhere
	return httprateLimiter{
		limiter: httprate.NewRateLimiter(s.Limit.Tokens, s.Limit.Per, httprate.WithResponseHeaders(httprate.ResponseHeaders{})),
		request: request,
	}, err
}

func (h httprateLimiter) Allow(key string) bool { return !h.limiter.OnLimit(nil, h.request, key) }

func httprateHandler(s Setting, next http.Handler) (http.Handler, error) {
	key := func(r *http.Request) (string, error) { return r.Header.Get(load.KeyHeader), nil }
	return httprate.LimitBy(s.Limit.Tokens, s.Limit.Per, key)(next), nil
}
