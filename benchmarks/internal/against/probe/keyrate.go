package main

import (
	"fmt"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// newLimiter returns a limiter in memory with one or two limits of so many tokens a day.
func newLimiter(tokens, limits, keys int) (*ratelimit.Limiter, error) {
	const day = 24 * time.Hour // no bucket fills up during a run
	all := []ratelimit.Limit{{Rate: tokens, Period: day}, {Name: "second", Rate: tokens, Period: 2 * day}}
	policy, err := ratelimit.NewPolicy(all[:limits]...)
	if err != nil {
		return nil, err
	}
	return ratelimit.New(memstore.New(memstore.Config{MaxKeys: keys * limits}), policy, ratelimit.Config{})
}

// newHandler returns next behind the middleware. RateLimit once returned no error: passed
// on as arguments, one and two results both compile.
func newHandler(l *ratelimit.Limiter, next http.Handler) (http.Handler, error) {
	return wrap(next, results(middleware.RateLimit(l, middleware.Config{Key: middleware.Header(load.KeyHeader)})))
}

func results(all ...any) []any { return all }

func wrap(next http.Handler, results []any) (http.Handler, error) {
	if len(results) == 2 && results[1] != nil {
		return nil, fmt.Errorf("middleware.RateLimit: %v", results[1])
	}
	limit, ok := results[0].(func(http.Handler) http.Handler)
	if !ok {
		return nil, fmt.Errorf("middleware.RateLimit returns a %T", results[0])
	}
	return limit(next), nil
}
