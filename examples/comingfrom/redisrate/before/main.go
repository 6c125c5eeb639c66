// Command before serves an API that redis_rate limits: 5 calls a second for each API
// key, across all nodes on one Redis.
package main

import (
	"fmt"
	"log"
	"math"
	"net/http"
	"strconv"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

func main() {
	client := redis.NewClient(&redis.Options{Addr: "localhost:6379"})
	log.Fatal(http.ListenAndServe("localhost:8080", handler(client)))
}

func handler(client *redis.Client) http.Handler {
	return limit(redis_rate.NewLimiter(client), http.HandlerFunc(hello))
}

// limit is what most programs write: redis_rate decides, and leaves HTTP to its users.
func limit(limiter *redis_rate.Limiter, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		result, err := limiter.Allow(r.Context(), r.Header.Get("X-API-Key"), redis_rate.PerSecond(5))
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(result.Limit.Rate))
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(result.Remaining))
		if result.Allowed == 0 {
			w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(result.RetryAfter.Seconds()))))
			http.Error(w, "rate limit exceeded", http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func hello(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") }
