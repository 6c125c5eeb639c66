package main

import (
	"io"
	"log"
	"net/http"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// keyHeader has the key of a request. A request without one is limited by its
// address.
const keyHeader = "X-API-Key"

// newAPI returns the API: all of it is behind the limit, but for the health check.
// Each decision becomes a line in decisions.
func newAPI(limit ratelimit.Limit, decisions *log.Logger) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limit, ratelimit.Config{Observe: printTo(decisions)})
	if err != nil {
		return nil, err
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header(keyHeader)})
	if err != nil {
		return nil, err
	}

	api := http.NewServeMux()
	api.HandleFunc("GET /{$}", hello)

	mux := http.NewServeMux()
	mux.Handle("/", labelled(limited(api)))
	// A load balancer's checks must neither use up a limit nor be refused. In
	// production, serve them where strangers cannot call them.
	mux.Handle("/healthz", middleware.Health(limiter))
	return mux, nil
}

// hello stands for what your API does.
func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"hello":"world"}`+"\n")
}
