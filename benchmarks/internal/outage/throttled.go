package outage

import (
	"net/http"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/goredisstore.v9"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// outageThrottled makes as many attempts to compare and swap as is its default, and
// answers 500 when they are used up.
func outageThrottled(address string, to library.Limit, next http.Handler) (http.Handler, error) {
	backend, err := goredisstore.NewCtx(defaultClient(address), "throttled:")
	if err != nil {
		return nil, err
	}
	l, err := library.ThrottledAsShown(backend, to)
	if err != nil {
		return nil, err
	}
	m := throttled.HTTPRateLimiterCtx{RateLimiter: l, VaryBy: library.ThrottledKey{}}
	return m.RateLimit(next), nil
}
