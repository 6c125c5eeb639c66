package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
	"github.com/keyrate/keyrate/store/redisstore/table"
)

// An api is a handler, and what must end after its last call.
type api struct {
	http.Handler
	fleet   *table.Table
	end     func()
	closers []io.Closer // in the order in which they were made
}

// newAPI returns the API. Redis may be down: then the table is the last good copy in the file, or
// the one with which the program is written.
func newAPI(ctx context.Context, o options, logger *slog.Logger) (a *api, err error) {
	a = &api{end: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	decisions, err := a.client(o.redis)
	if err != nil {
		return a, err
	}
	// The table has time: a client with more patience than a decision.
	tables, err := a.client(o.redis + map[bool]string{false: "?", true: "&"}[strings.Contains(o.redis, "?")] + "timeout=2s")
	if err != nil {
		return a, err
	}
	shared, err := redisstore.New(decisions, redisstore.Config{})
	if err != nil {
		return a, err
	}
	store, err := mirror.New(shared, mirror.Config{})
	if err != nil {
		return a, err
	}
	a.closers = append(a.closers, store)

	initial := plans.TableConfig{Default: must("100/s"), Plans: map[string]*ratelimit.Policy{"gold": must("1000/s")}}
	a.fleet, err = table.New(tables, initial, table.Config{File: o.file, OnNodes: store.SetNodes, OnEvent: func(e table.Event) {
		if e.Err != nil {
			logger.Warn("the table of the fleet cannot be followed", "error", e.Err)
		}
	}})
	if err != nil {
		return a, err
	}
	loading, cancel := context.WithTimeout(ctx, 5*time.Second)
	if err := a.fleet.Load(loading); err != nil {
		logger.Warn("the table of the fleet cannot be loaded; what is in force is older", "error", err)
	}
	cancel()
	a.end = start(a.fleet.Run)

	limiter, err := ratelimit.New(store, a.fleet, ratelimit.Config{})
	if err != nil {
		return a, err
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key"), Logger: logger})
	if err != nil {
		return a, err
	}
	operators, err := admin.New(limiter, operator(o.secret), admin.Config{Table: a.fleet.Table(), Fleet: a.fleet, Logger: logger})
	if err != nil {
		return a, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", limited(http.HandlerFunc(hello)))
	mux.Handle("/health", middleware.Health(limiter))
	mux.Handle("/limits/", http.StripPrefix("/limits", operators))
	a.Handler = mux
	return a, nil
}

// operator returns a function that knows the operators: by one secret. A browser that asks for a
// name and a password sends it as well; the name gets into the audit trail.
func operator(secret string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+secret)) == 1
	}
}

// client makes a client that close closes.
func (a *api) client(url string) (redis.UniversalClient, error) {
	client, err := redisstore.NewClient(url)
	if err != nil {
		return nil, fmt.Errorf("flag -redis: %w", err)
	}
	a.closers = append(a.closers, client)
	return client, nil
}

// start runs a function until the returned one is called.
func start(run func(context.Context) error) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = run(ctx) }) // its error is that of the context
	return func() {
		cancel()
		running.Wait()
	}
}

// must is for limits that are written in the program.
func must(text string) *ratelimit.Policy {
	p, err := ratelimit.ParsePolicy(text)
	if err != nil {
		panic(err)
	}
	return p
}

// hello stands for what your API does.
func hello(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "hello\n")
}

// close comes after the server has stopped.
func (a *api) close() error {
	a.end()
	var err error
	for _, c := range slices.Backward(a.closers) {
		err = errors.Join(err, c.Close())
	}
	return err
}

// serveAPI serves until ctx ends or, in a process of the demo, until its standard input ends.
func serveAPI(ctx context.Context, o options, stdin io.Reader, stdout io.Writer, logger *slog.Logger) (err error) {
	a, err := newAPI(ctx, o, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if o.child {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() { // ends with the process at the latest
			_, _ = io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	return serve.API(ctx, o.addr, a, stdout, "Serving URL with the table of the fleet. Operators: URLlimits/ with $"+envSecret+" as the password. Ctrl-C ends it.")
}
