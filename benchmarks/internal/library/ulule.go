package library

import (
	"context"
	"net/http"
	"time"

	ululelimiter "github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	"github.com/ulule/limiter/v3/drivers/store/memory"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

type ulule struct{ limiter *ululelimiter.Limiter }

func newUlule(s Setting) (Limiter, error) { return ulule{ululeLimiter(s)}, nil }

func (u ulule) Allow(key string) bool {
	c, err := u.limiter.Get(context.Background(), key)
	return err == nil && !c.Reached
}

func ululeLimiter(s Setting) *ululelimiter.Limiter {
	sweep := 24 * time.Hour
	if s.Forget > 0 {
		sweep = s.Forget / 2
	}
	backend := memory.NewStoreWithOptions(ululelimiter.StoreOptions{CleanUpInterval: sweep})
	return ululelimiter.New(backend, ululelimiter.Rate{Period: s.Limit.Per, Limit: int64(s.Limit.Tokens)})
}

func ululeHandler(s Setting, next http.Handler) (http.Handler, error) {
	key := stdlib.WithKeyGetter(func(r *http.Request) string { return r.Header.Get(load.KeyHeader) })
	return stdlib.NewMiddleware(ululeLimiter(s), key).Handler(next), nil
}
