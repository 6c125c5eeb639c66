package main

import (
	"fmt"
	"net/http"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// newAPI returns an API of three routes. All that a key calls counts against its own two
// limits; on top of that a search costs ten tokens, and exports have a limit of their own.
func newAPI() (http.Handler, error) {
	own, err := ratelimit.NewPolicy(
		ratelimit.PerMinute(25),
		ratelimit.PerHour(1000).Named("hourly"),
	)
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), own, ratelimit.Config{})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "item %q\n", r.PathValue("id"))
	})
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "found nothing")
	})
	mux.HandleFunc("GET /export/{table}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "all of %q\n", r.PathValue("table"))
	})

	// The patterns are written as above; one that the mux does not know is an error. Items
	// are in no Route: they cost one token, and have no limit but the key's own.
	return middleware.Routes(limiter, mux, middleware.Config{Key: middleware.Header("X-API-Key")},
		middleware.Route{Pattern: "GET /search", Cost: 10},
		middleware.Route{Pattern: "GET /export/{table}", Limits: []ratelimit.Limit{ratelimit.PerMinute(2)}},
	)
}
