package main

import (
	"io"
	"log"
	"net/http"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
	"github.com/keyrate/keyrate/store/memstore"
)

// newAPI returns an API that holds each X-API-Key to its limits of the file. Once it is made
// the file can change as often as it likes: the table stays the same one.
func newAPI(limits *file.File) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits.Table(), ratelimit.Config{})
	if err != nil {
		return nil, err
	}
	limit, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", hello)
	return limit(mux), nil
}

// hello stands for what your API does.
func hello(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"hello":"world"}`+"\n")
}

// printTo prints a line for each event. No API key is in it, nor in the errors of a file.
func printTo(out *log.Logger) func(file.Event) {
	return func(e file.Event) {
		if e.Err != nil {
			out.Printf("the limits of version %s stay in force:\n%v", e.InForce.Hash, e.Err)
			return
		}
		out.Printf("version %s is in force after %v: %d plans, %d keys", e.InForce.Hash, e.Took, e.InForce.Plans, e.InForce.Keys)
	}
}
