package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/redisstore"
)

// limit holds each API key, whichever server it calls.
var limit = ratelimit.PerMinute(10)

// A server is one node of a production set-up: it has its own client,
// store, limiter and port, and nothing in common with the other but Redis.
type server struct {
	url    string
	http   *http.Server
	client redis.UniversalClient
}

// startServer serves an API whose limit is kept in Redis.
func startServer(ctx context.Context, redisURL string) (*server, error) {
	client, err := redisstore.NewClient(redisURL)
	if err != nil {
		return nil, err
	}
	s := &server{client: client}
	backend, err := redisstore.New(client, redisstore.Config{Prefix: "keyrate-example"})
	if err != nil {
		s.stop()
		return nil, err
	}
	limiter, err := ratelimit.New(backend, limit, ratelimit.Config{})
	if err != nil {
		s.stop()
		return nil, err
	}
	if err := untilItDecides(ctx, limiter); err != nil {
		s.stop()
		return nil, err
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{
		Key: middleware.Header("X-API-Key"),
		// Here a fault must not pass for an admission. In production you may prefer
		// to serve callers while Redis is down, as the default is.
		FailClosed: true,
	})
	if err != nil {
		s.stop()
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		s.stop()
		return nil, err
	}
	s.url = "http://" + listener.Addr().String() + "/"
	s.http = &http.Server{Handler: limited(http.HandlerFunc(hello)), ReadHeaderTimeout: time.Second}
	go s.http.Serve(listener) //nolint:errcheck // it ends with stop
	return s, nil
}

// untilItDecides waits until Redis decides as it should, which Check finds out with
// real decisions. A server in production need not wait: it may start before Redis.
func untilItDecides(ctx context.Context, limiter *ratelimit.Limiter) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var why string
	for {
		h := limiter.Check(ctx)
		if h.Status == store.StatusOK {
			return nil
		}
		// One check that ran out of time says less than another, and nothing if it was cut short.
		if c := class(h); why == "" || ctx.Err() == nil && c != store.ClassTimeout {
			why = c
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("redis does not decide: %s; mend that, or leave -redis out", why)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// class returns why a part failed, such as "connect": see the classes of redisstore.
func class(h store.Health) string {
	for _, part := range h.Parts {
		if !part.OK {
			return part.Class
		}
	}
	return string(h.Status)
}

// hello stands for what your API does.
func hello(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "hello\n")
}

// stop ends the server, and then the client, which is the program's own.
func (s *server) stop() {
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	_ = errors.Join(err, s.client.Close()) // no call is served any more
}
