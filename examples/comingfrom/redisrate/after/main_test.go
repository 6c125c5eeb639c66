package main

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/comingfrom/internal/seen"
)

func TestPage(t *testing.T) {
	seen.Check(t, seen.Program{
		Side: seen.After,
		NewOnRedis: func(o *redis.Options) (http.Handler, func() error, error) {
			client := redis.NewClient(seen.AsNewClient(o))
			api, err := handler(client, []byte("32 random bytes in production.."))
			return api, client.Close, err
		},
	})
}
