package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

// limit holds each API key, on all nodes together.
var limit = ratelimit.PerSecond(5)

// A setup is what differs from one place to another.
type setup struct {
	redis    string // the URL
	secret   []byte // keys the hashes of API keys in Redis; the same on all nodes
	nodes    int
	logger   *slog.Logger
	onChange func(mirror.Change)                    // nil: it is only logged
	observe  func(context.Context, ratelimit.Event) // nil: events are dropped
}

// An api is a handler and what must be closed after its last call.
type api struct {
	http.Handler
	client redis.UniversalClient
	mirror *mirror.Store
}

// newAPI returns the API. It does not wait for Redis, which may be down.
func newAPI(s setup) (*api, error) {
	client, err := redisstore.NewClient(s.redis)
	if err != nil {
		return nil, err
	}
	a := &api{client: client}
	shared, err := redisstore.New(client, redisstore.Config{Secret: s.secret})
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	a.mirror, err = mirror.New(shared, mirror.Config{Nodes: s.nodes, OnChange: func(c mirror.Change) {
		logChange(s.logger, c)
		if s.onChange != nil {
			s.onChange(c)
		}
	}})
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	limiter, err := ratelimit.New(a.mirror, limit, ratelimit.Config{Observe: s.observe})
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key"), Logger: s.logger})
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	mux := http.NewServeMux()
	mux.Handle("/", limited(http.HandlerFunc(hello)))
	// While Redis is down it says "degraded", and still 200: this node decides. In
	// production, serve it where strangers cannot call it.
	mux.Handle("/health", middleware.Health(limiter))
	a.Handler = mux
	return a, nil
}

// logChange writes a line when Redis goes down, and one when it is back.
func logChange(logger *slog.Logger, c mirror.Change) {
	if c.Down {
		logger.Warn("Redis is down; this node decides alone", "class", c.Class)
		return
	}
	logger.Info("Redis decides again", "class", c.Class, "down", c.Took)
}

// hello stands for what your API does.
func hello(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "hello\n")
}

// close comes after the server has stopped: the mirror first, which may still be
// looking for Redis.
func (a *api) close() error {
	var err error
	if a.mirror != nil {
		err = a.mirror.Close()
	}
	return errors.Join(err, a.client.Close())
}
