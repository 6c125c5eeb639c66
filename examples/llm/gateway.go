package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/redisstore"
)

// patience is how long a decision may take. A model takes seconds, and money is at stake:
// better late than without a limit.
const patience = time.Second

// A gateway is a handler and what must be closed after its last request.
type gateway struct {
	http.Handler
	limiter *ratelimit.Limiter
	client  redis.UniversalClient
}

// newGateway returns a gateway to o.upstream.
func newGateway(o options, logger *slog.Logger) (*gateway, error) {
	upstream, err := url.Parse(o.upstream)
	if err != nil {
		return nil, err
	}
	keys, err := policies()
	if err != nil {
		return nil, err
	}
	limiter, client, err := newLimiter(o.redis, o.after, keys)
	if err != nil {
		return nil, err
	}
	g := &gateway{limiter: limiter, client: client}
	config := middleware.Config{
		Key:        middleware.KeyFunc(func(r *http.Request) (string, error) { return keyOf(r.Context()), nil }),
		RequireKey: true,
		FailClosed: true, // what Redis has not admitted costs nothing
		Logger:     logger,
	}
	settle := afterwards(limiter, logger)
	if !o.after {
		config.Reserve = estimate
		settle = func(ctx context.Context, n int) { middleware.Settle(ctx, n) }
	}
	limited, err := middleware.RateLimit(limiter, config)
	if err != nil {
		return nil, errors.Join(err, g.close())
	}
	mux := http.NewServeMux()
	mux.Handle("POST /v1/chat/completions", authenticated(keys, estimated(patient(limited(newProxy(upstream, settle, logger))))))
	mux.Handle("GET /health", middleware.Health(limiter))
	g.Handler = mux
	return g, nil
}

// newLimiter returns a limiter on the Redis at a URL. What is counted after the fact has
// buckets of its own.
func newLimiter(redisURL string, after bool, keys map[string]*ratelimit.Policy) (*ratelimit.Limiter, redis.UniversalClient, error) {
	u, err := url.Parse(redisURL)
	if err != nil {
		return nil, nil, errors.New("flag -redis must be a URL, such as redis://localhost:6379") // err shows the password
	}
	query := u.Query()
	query.Set("timeout", patience.String())
	u.RawQuery = query.Encode()
	client, err := redisstore.NewClient(u.String())
	if err != nil {
		return nil, nil, err
	}
	config := redisstore.Config{Prefix: "keyrate-llm"}
	if after {
		config.Prefix = "keyrate-llm-after"
	}
	shared, err := redisstore.New(client, config)
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	limiter, err := ratelimit.New(shared, limitsOf(keys), ratelimit.Config{Timeout: patience})
	if err != nil {
		return nil, nil, errors.Join(err, client.Close())
	}
	return limiter, client, nil
}

// close comes after the server has stopped.
func (g *gateway) close() error {
	g.limiter.Close()
	return g.client.Close()
}
