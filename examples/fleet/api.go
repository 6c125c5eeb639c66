package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/lease"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

// burst is how many tokens a bucket holds.
const burst = 50_000

// limit holds each API key, on all nodes together.
var limit = ratelimit.PerSecond(50_000).WithBurst(burst)

// An api is a handler and what must be closed after its last call.
type api struct {
	http.Handler
	limiter *ratelimit.Limiter
	closers []io.Closer // in the order in which they were made
}

// newAPI returns the API. It does not wait for Redis, which may be down.
func newAPI(o options, logger *slog.Logger) (a *api, err error) {
	a = new(api)
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	client, err := redisstore.NewClient(o.redis)
	if err != nil {
		return a, fmt.Errorf("flag -redis: %w", err)
	}
	a.closers = append(a.closers, client)
	if a.limiter, err = a.newLimiter(client, o); err != nil {
		return a, err
	}
	limited, err := middleware.RateLimit(a.limiter, middleware.Config{Key: middleware.Header("X-API-Key"), Logger: logger})
	if err != nil {
		return a, err
	}
	a.Handler = limited(http.HandlerFunc(hello))
	return a, nil
}

// newLimiter returns a limiter that decides by what it has leased, then by Redis and, while that
// is down, by this node's share.
func (a *api) newLimiter(client redis.UniversalClient, o options) (*ratelimit.Limiter, error) {
	shared, err := redisstore.New(client, redisstore.Config{Secret: []byte(o.secret)})
	if err != nil {
		return nil, err
	}
	mirrored, err := mirror.New(shared, mirror.Config{Nodes: o.nodes})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, mirrored)
	var decides store.Store = mirrored
	if o.leases {
		leased, err := lease.New(mirrored, lease.Config{})
		if err != nil {
			return nil, err
		}
		a.closers = append(a.closers, leased)
		decides = leased
	}
	return ratelimit.New(decides, limit, ratelimit.Config{Timeout: o.timeout})
}

// hello stands for what your API does.
func hello(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "hello\n")
}

// close comes after the server has stopped. The leases go back first, through the mirror and the
// client.
func (a *api) close() error {
	var err error
	for _, c := range slices.Backward(a.closers) {
		err = errors.Join(err, c.Close())
	}
	return err
}

// serveAPI serves until ctx ends.
func serveAPI(ctx context.Context, o options, stdin io.Reader, stdout io.Writer, logger *slog.Logger) (err error) {
	a, err := newAPI(o, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if o.ledger != "" {
		var stop func() error
		if ctx, stop, err = startCallers(ctx, a.limiter, o.ledger, stdin); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	return serve.API(ctx, o.addr, a, stdout, fmt.Sprintf("Serving URL with a limit of %s for each X-API-Key. Ctrl-C ends it.", limit))
}
