package library

import (
	"net/http"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/middleware"
)

// KeyrateHandler returns next behind keyrate's middleware.
func KeyrateHandler(s Setting, next http.Handler) (http.Handler, error) {
	l, err := keyrateLimiter(s)
	if err != nil {
		return nil, err
	}
	limit, err := middleware.RateLimit(l, middleware.Config{Key: middleware.Header(load.KeyHeader)})
	if err != nil {
		return nil, err
	}
	return limit(next), nil
}
