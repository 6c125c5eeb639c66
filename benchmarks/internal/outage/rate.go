package outage

import (
	"net/http"

	"github.com/go-redis/redis_rate/v10"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// outageRedisRate is redis_rate in the middleware that people write for it, as it has none:
// an error is a 500, and a denied call gets 429 with a line of text.
func outageRedisRate(address string, to library.Limit, next http.Handler) (http.Handler, error) {
	l := redis_rate.NewLimiter(defaultClient(address))
	rate := redis_rate.Limit{Rate: to.Tokens, Burst: to.Tokens, Period: to.Per}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result, err := l.Allow(r.Context(), r.Header.Get(load.KeyHeader), rate)
		switch {
		case err != nil:
			http.Error(w, "internal error", http.StatusInternalServerError)
		case result.Allowed == 0:
			http.Error(w, "limit exceeded", http.StatusTooManyRequests)
		default:
			next.ServeHTTP(w, r)
		}
	}), nil
}
