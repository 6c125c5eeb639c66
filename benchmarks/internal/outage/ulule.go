package outage

import (
	"net/http"

	ululelimiter "github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	ululeredis "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// outageUlule panics when Redis gives no answer: the default of its middleware for an error.
func outageUlule(address string, to library.Limit, next http.Handler) (http.Handler, error) {
	backend, err := ululeredis.NewStore(defaultClient(address))
	if err != nil {
		return nil, err
	}
	l := ululelimiter.New(backend, ululelimiter.Rate{Period: to.Per, Limit: int64(to.Tokens)})
	key := stdlib.WithKeyGetter(func(r *http.Request) string { return r.Header.Get(load.KeyHeader) })
	return stdlib.NewMiddleware(l, key).Handler(next), nil
}
