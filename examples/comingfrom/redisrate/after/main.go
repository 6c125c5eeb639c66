// Command after serves the same API, limited by keyrate: 5 calls a second for each API
// key, across all nodes on one Redis.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/redisstore"
)

func main() {
	secret := os.Getenv("KEYRATE_SECRET") // openssl rand -hex 32, the same on all nodes
	if secret == "" {
		log.Fatal("KEYRATE_SECRET is not set")
	}
	client, err := redisstore.NewClient("redis://localhost:6379/0")
	if err != nil {
		log.Fatal(err)
	}
	api, err := handler(client, []byte(secret))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", api))
}

func handler(client redis.UniversalClient, secret []byte) (http.Handler, error) {
	backend, err := redisstore.New(client, redisstore.Config{Secret: secret})
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New(backend, ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		return nil, err
	}
	limit, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		return nil, err
	}
	return limit(http.HandlerFunc(hello)), nil
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
