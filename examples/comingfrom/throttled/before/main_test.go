package main

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/throttled/throttled/v2/store/goredisstore.v9"
	"github.com/throttled/throttled/v2/store/memstore"

	"github.com/keyrate/keyrate/examples/comingfrom/internal/seen"
)

func TestPage(t *testing.T) {
	seen.Check(t, seen.Program{
		Side: seen.Before,
		New: func() (http.Handler, error) {
			store, err := memstore.NewCtx(65536)
			if err != nil {
				return nil, err
			}
			return handler(store)
		},
		NewOnRedis: func(o *redis.Options) (http.Handler, func() error, error) {
			client := redis.NewClient(o)
			store, err := goredisstore.NewCtx(client, "throttled:")
			if err != nil {
				return nil, client.Close, err
			}
			api, err := handler(store)
			return api, client.Close, err
		},
	})
}
