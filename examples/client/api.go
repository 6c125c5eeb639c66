package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// newAPI returns an API with a limit for each X-API-Key.
func newAPI(limit ratelimit.Limit) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limit, ratelimit.Config{})
	if err != nil {
		return nil, err
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		return nil, err
	}
	return limited(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	})), nil
}

// serve starts the API on loopback.
func serve(ctx context.Context, limit ratelimit.Limit) (url string, stop func(), err error) {
	api, err := newAPI(limit)
	if err != nil {
		return "", nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: api, ReadHeaderTimeout: time.Second}
	go server.Serve(listener) //nolint:errcheck // it ends with stop
	return "http://" + listener.Addr().String() + "/", func() { _ = server.Close() }, nil
}
