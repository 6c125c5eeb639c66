package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// limitedAPI starts a server that is limited by keyrate.
func limitedAPI(limits ratelimit.Limits) *httptest.Server {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")}))
	return httptest.NewServer(limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "hello") })))
}

// get calls with a key, and prints the status.
func get(client *http.Client, url string) {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		panic(err)
	}
	r.Header.Set("X-API-Key", "alice")
	response, err := client.Do(r)
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	fmt.Println(response.Status)
}

// A client calls an API of 20 per second without a pause, and is never denied: the
// transport waits.
func ExampleNew() {
	server := limitedAPI(ratelimit.PerSecond(20).WithBurst(2))
	defer server.Close()

	t, err := transport.New(http.DefaultTransport, transport.Config{})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: t}
	for range 4 {
		get(client, server.URL)
	}
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// 200 OK
}

// Observe receives what the transport does, for a log or a metric.
func ExampleConfig_observe() {
	server := limitedAPI(ratelimit.PerSecond(20))
	defer server.Close()

	t, err := transport.New(nil, transport.Config{
		MaxWait: 10 * time.Second,
		Observe: func(_ context.Context, e transport.Event) {
			fmt.Println(e.Action, e.Attempt, e.Status)
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	get(&http.Client{Transport: t}, server.URL)
	// Output:
	// sent 1 0
	// answered 1 200
	// 200 OK
}

// An API identifies its customers by a header of its own. With a Key that returns it,
// each customer has a pace; without one, all of them share a pace.
func ExampleConfig_key() {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerHour(1), ratelimit.Config{})
	if err != nil {
		log.Fatal(err)
	}
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-Customer")}))
	server := httptest.NewServer(limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	defer server.Close()

	t, err := transport.New(nil, transport.Config{
		Key: func(r *http.Request) string { return r.Header.Get("X-Customer") },
	})
	if err != nil {
		log.Fatal(err)
	}
	client := &http.Client{Transport: t}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, customer := range []string{"alice", "bob", "alice"} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
		if err != nil {
			log.Fatal(err)
		}
		r.Header.Set("X-Customer", customer)
		response, err := client.Do(r)
		if late, is := errors.AsType[*transport.WaitError](err); is {
			fmt.Println(customer, "cannot be served before the deadline:", late.Deadline)
			continue
		}
		if err != nil {
			log.Fatal(err)
		}
		_ = response.Body.Close()
		fmt.Println(customer, response.Status)
	}
	// Output:
	// alice 200 OK
	// bob 200 OK
	// alice cannot be served before the deadline: true
}

// Parse reads the limits of a response without a Transport.
func ExampleParse() {
	h := http.Header{}
	h.Set("RateLimit-Policy", `"default";q=5;w=1, "daily";q=1000;w=86400`)
	h.Set("RateLimit", `"default";r=0;t=1, "daily";r=880;t=10368`)
	h.Set("Retry-After", "1")

	limits := transport.Parse(h)
	fmt.Println("retry after", limits.RetryAfter)
	for _, l := range limits.All {
		fmt.Printf("%s: %d of %d in %v\n", l.Name, l.Remaining, l.Quota, l.Window)
	}
	// Output:
	// retry after 1s
	// default: 0 of 5 in 1s
	// daily: 880 of 1000 in 24h0m0s
}
