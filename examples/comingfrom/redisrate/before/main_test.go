package main

import (
	"net/http"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/comingfrom/internal/seen"
)

func TestPage(t *testing.T) {
	seen.Check(t, seen.Program{
		Side: seen.Before,
		NewOnRedis: func(o *redis.Options) (http.Handler, func() error, error) {
			client := redis.NewClient(o)
			return handler(client), client.Close, nil
		},
	})
}
