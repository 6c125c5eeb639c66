package main

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/store/memory"
	redisstore "github.com/ulule/limiter/v3/drivers/store/redis"

	"github.com/keyrate/keyrate/examples/comingfrom/internal/seen"
)

func TestPage(t *testing.T) {
	seen.Check(t, seen.Program{
		Side: seen.Before,
		New: func() (http.Handler, error) {
			// memory.NewStore() but for its goroutine, which would never leave the bubble.
			return handler(memory.NewStoreWithOptions(limiter.StoreOptions{Prefix: limiter.DefaultPrefix})), nil
		},
		NewOnRedis: func(o *redis.Options) (http.Handler, func() error, error) {
			client := redis.NewClient(o)
			backend, err := redisstore.NewStore(client)
			if err != nil {
				return nil, client.Close, err
			}
			return handler(backend), client.Close, nil
		},
	})
}
