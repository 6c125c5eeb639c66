package library

import (
	"context"
	"net/http"
	"time"

	golimiter "github.com/sethvargo/go-limiter"
	"github.com/sethvargo/go-limiter/httplimit"
	"github.com/sethvargo/go-limiter/memorystore"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

type goLimiter struct{ store golimiter.Store }

func newGoLimiter(s Setting) (Limiter, error) {
	backend, err := goLimiterStore(s)
	return goLimiter{backend}, err
}

func (g goLimiter) Allow(key string) bool {
	_, _, _, ok, err := g.store.Take(context.Background(), key)
	return err == nil && ok
}

// goLimiterStore sets the intervals of the sweep as its documentation says: long
// for throughput, and room for the keys beforehand.
func goLimiterStore(s Setting) (golimiter.Store, error) {
	c := &memorystore.Config{
		Tokens:        uint64(s.Limit.Tokens),
		Interval:      s.Limit.Per,
		SweepInterval: 24 * time.Hour,
		SweepMinTTL:   48 * time.Hour,
	}
	if s.Presized {
		c.InitialAlloc = s.Keys
	}
	if s.Forget > 0 {
		c.SweepInterval, c.SweepMinTTL = s.Forget/2, s.Forget
	}
	return memorystore.New(c)
}

func goLimiterHandler(s Setting, next http.Handler) (http.Handler, error) {
	backend, err := goLimiterStore(s)
	if err != nil {
		return nil, err
	}
	m, err := httplimit.NewMiddleware(backend, func(r *http.Request) (string, error) { return r.Header.Get(load.KeyHeader), nil })
	if err != nil {
		return nil, err
	}
	return m.Handle(next), nil
}
