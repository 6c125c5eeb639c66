// Command before serves an API that ulule/limiter limits: 5 calls a second for each
// API key.
package main

import (
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/ulule/limiter/v3"
	"github.com/ulule/limiter/v3/drivers/middleware/stdlib"
	"github.com/ulule/limiter/v3/drivers/store/memory"
)

func main() {
	log.Fatal(http.ListenAndServe("localhost:8080", handler(memory.NewStore())))
}

func handler(backend limiter.Store) http.Handler {
	rate := limiter.Rate{Period: time.Second, Limit: 5}
	limit := stdlib.NewMiddleware(limiter.New(backend, rate), stdlib.WithKeyGetter(apiKey))
	return limit.Handler(http.HandlerFunc(hello))
}

func apiKey(r *http.Request) string { return r.Header.Get("X-API-Key") }

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
