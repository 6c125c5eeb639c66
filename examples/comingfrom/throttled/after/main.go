// Command after serves the same API, limited by keyrate: 5 calls a second for each API
// key.
package main

import (
	"fmt"
	"log"
	"net/http"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

func main() {
	api, err := handler(memstore.New(memstore.Config{}))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", api))
}

func handler(backend store.Store) (http.Handler, error) {
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
