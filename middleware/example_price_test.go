package middleware_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// At most two requests of a key run at a time. A third one is denied while they do.
func ExampleRateLimit_atOnce() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.AtOnce(2)), middleware.Config{Key: middleware.Header("X-API-Key")}))
	started, finish := make(chan struct{}), make(chan struct{})
	h := limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		started <- struct{}{}
		<-finish
	}))

	var running sync.WaitGroup
	for range 2 {
		running.Go(func() { ask(h, "X-API-Key: a") })
		<-started
	}
	header := ask(h, "X-API-Key: a")
	fmt.Println(header.Get(middleware.HeaderPolicy))
	fmt.Println("Retry-After:", header.Get("Retry-After"))
	close(finish)
	running.Wait()
	// Output:
	// 429 Too Many Requests
	// "concurrent";q=2;qu="concurrent-requests"
	// Retry-After: 1
	// 200 OK
	// 200 OK
}

// A call of a language model costs as many tokens as it uses. 1000 are reserved until then.
func ExampleSettle() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerDay(2000)), middleware.Config{
		Key:     middleware.Header("X-API-Key"),
		Reserve: func(*http.Request) int { return 1000 },
	}))
	h := limit(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		const used = 350
		middleware.Settle(r.Context(), used)
	}))

	for range 4 {
		header := ask(h, "X-API-Key: a")
		fmt.Println("remaining:", header.Get(middleware.HeaderRemaining))
	}
	// Output:
	// 200 OK
	// remaining: 1000
	// 200 OK
	// remaining: 650
	// 200 OK
	// remaining: 300
	// 429 Too Many Requests
	// remaining: 950
}

// Only failed logins count: two per hour for each account.
func ExampleConfig_settleBy() {
	limit := middleware.Must(middleware.RateLimit(mustLimiter(ratelimit.PerHour(2)), middleware.Config{
		Key:  middleware.Header("X-Account"),
		Cost: func(*http.Request) int { return 1 },
		SettleBy: func(status int, _ http.Header) int {
			if status == http.StatusUnauthorized {
				return 1
			}
			return 0
		},
	}))
	h := limit(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Password") != "right" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))

	for _, password := range []string{"right", "right", "right", "wrong", "wrong", "right"} {
		ask(h, "X-Account: a", "X-Password: "+password)
	}
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// 401 Unauthorized
	// 401 Unauthorized
	// 429 Too Many Requests
}

// The application reports the price in a header, which the client does not see.
func ExampleConfig_settleByHeader() {
	limiter := mustLimiter(ratelimit.PerDay(100))
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{
		Key:     middleware.Header("X-API-Key"),
		Reserve: func(*http.Request) int { return 10 },
		SettleBy: func(_ int, h http.Header) int {
			rows, err := strconv.Atoi(h.Get("X-Rows"))
			h.Del("X-Rows")
			if err != nil {
				return 1
			}
			return rows
		},
	}))
	h := limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Rows", "42")
		fmt.Fprintln(w, "42 rows")
	}))

	header := ask(h, "X-API-Key: a")
	fmt.Printf("rows: %q\n", header.Get("X-Rows"))
	fmt.Println("remaining:", ask(h, "X-API-Key: a").Get(middleware.HeaderRemaining)) // beside the next estimate
	// Output:
	// 200 OK
	// rows: ""
	// 200 OK
	// remaining: 48
}

// A connection that is served after the handler has returned keeps its place.
func ExampleKeep() {
	limiter := mustLimiter(ratelimit.AtOnce(1))
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))
	closed, released := make(chan struct{}), make(chan struct{})
	h := limit(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		release := middleware.Keep(r.Context()) // and hijack the connection
		go func() {
			<-closed
			release()
			close(released)
		}()
	}))

	ask(h)
	ask(h)
	close(closed)
	<-released
	ask(limit(api))
	// Output:
	// 200 OK
	// 429 Too Many Requests
	// 200 OK
}
