package main

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/comingfrom/internal/seen"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/redisstore"
)

func TestPage(t *testing.T) {
	seen.Check(t, seen.Program{
		Side: seen.After,
		New:  func() (http.Handler, error) { return handler(memstore.New(memstore.Config{})) },
		NewOnRedis: func(o *redis.Options) (http.Handler, func() error, error) {
			client := redis.NewClient(seen.AsNewClient(o))
			backend, err := redisstore.New(client, redisstore.Config{Secret: []byte("32 random bytes in production..")})
			if err != nil {
				return nil, client.Close, err
			}
			api, err := handler(backend)
			return api, client.Close, err
		},
	})
}
