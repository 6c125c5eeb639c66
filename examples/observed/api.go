package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/metrics"
	keyrateotel "github.com/keyrate/keyrate/ratelimit/metrics/otel"
	keyrateprometheus "github.com/keyrate/keyrate/ratelimit/metrics/prometheus"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

// limits are those of all keys: 5/s, or those of their plan. trial denies nothing: it shows
// what 5/s would do to gold.
const limits = `{
	"default": "5/s",
	"plans": {
		"silver": "20/s",
		"gold": ["50/s", "4 at a time", "5/s;name=trial;shadow"]
	},
	"members": {"silver-1": "silver", "gold-1": "gold", "gold-2": "gold"}
}`

// A setup is what differs from one place to another.
type setup struct {
	redis    string           // the URL; "" keeps the limits in the memory of this node
	secret   []byte           // keys the hashes of API keys in Redis; the same on all nodes
	operator string           // the secret of the operators, not ""
	reader   sdkmetric.Reader // collects the metrics for OpenTelemetry; nil: none does
	logger   *slog.Logger
}

// An api is a handler and what must be closed after its last call.
type api struct {
	http.Handler
	closers []func() error // the last first
}

// newAPI returns the API. It does not wait for Redis, which may be down.
func newAPI(s setup) (_ *api, err error) {
	a := &api{}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.close())
		}
	}()
	shared, err := a.newStore(s)
	if err != nil {
		return nil, err
	}
	config, err := plans.ReadTableConfig(strings.NewReader(limits))
	if err != nil {
		return nil, err
	}
	table, err := plans.NewTable(config)
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New(shared, table, ratelimit.Config{Metrics: true})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, func() error { limiter.Close(); return nil })
	limited, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key"), RequireKey: true, Logger: s.logger})
	if err != nil {
		return nil, err
	}

	// Operators have a limit, too, by their addresses: it bounds how often a secret is guessed.
	guard, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerSecond(20).Named("operator"), ratelimit.Config{Metrics: true})
	if err != nil {
		return nil, err
	}
	guarded, err := middleware.RateLimit(guard, middleware.Config{Logger: s.logger})
	if err != nil {
		return nil, err
	}
	operate, err := admin.New(limiter, authorize(s.operator), admin.Config{Table: table, Logger: s.logger})
	if err != nil {
		return nil, err
	}

	registry := prometheus.NewRegistry()
	if err := registry.Register(keyrateprometheus.NewCollector(limiter, guard)); err != nil {
		return nil, err
	}
	if err := a.register(s.reader, limiter, guard); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.Handle("GET /{$}", limited(http.HandlerFunc(hello)))
	mux.Handle("GET /report", limited(http.HandlerFunc(report)))
	mux.Handle("/limits/", guarded(http.StripPrefix("/limits", operate)))
	// In production, serve these where strangers cannot call them.
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.Handle("GET /healthz", middleware.Health(limiter))
	a.Handler = mux
	return a, nil
}

// newStore returns Redis with a mirror in front of it, or memory.
func (a *api) newStore(s setup) (store.Store, error) {
	if s.redis == "" {
		return memstore.New(memstore.Config{}), nil
	}
	client, err := redisstore.NewClient(s.redis)
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, client.Close)
	shared, err := redisstore.New(client, redisstore.Config{Secret: s.secret})
	if err != nil {
		return nil, err
	}
	mirrored, err := mirror.New(shared, mirror.Config{OnChange: func(c mirror.Change) {
		if c.Down {
			s.logger.Warn("Redis is down; this node decides alone", "class", c.Class)
		} else {
			s.logger.Info("Redis decides again", "down", c.Took)
		}
	}})
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, mirrored.Close)
	return mirrored, nil
}

// register shows limiters to OpenTelemetry. A program that has set a global provider passes
// no Provider.
func (a *api) register(reader sdkmetric.Reader, limiters ...metrics.Source) error {
	if reader == nil {
		return nil
	}
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	a.closers = append(a.closers, func() error { return provider.Shutdown(context.Background()) })
	_, err := keyrateotel.Register(keyrateotel.Config{Provider: provider}, limiters...)
	return err
}

// authorize returns what allows requests with the secret as a bearer token.
func authorize(secret string) func(*http.Request) bool {
	want := []byte("Bearer " + secret)
	return func(r *http.Request) bool {
		return secret != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) == 1
	}
}

// hello stands for what your API does.
func hello(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "hello\n")
}

// report stands for what takes long: the key holds a place of "4 at a time" meanwhile.
func report(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(time.Second):
		_, _ = io.WriteString(w, "report\n")
	case <-r.Context().Done():
	}
}

// close comes after the server has stopped.
func (a *api) close() error {
	var all []error
	for _, closer := range slices.Backward(a.closers) {
		all = append(all, closer())
	}
	return errors.Join(all...)
}
