package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

// faultLimit is the limit of each key. That of the ledger is so high that no test reaches
// it: its debt is what it was charged.
var faultLimit = ratelimit.PerSecond(5)

const ledger = "ledger"

func faultKeys() []string {
	var keys []string
	for i := range 10 {
		keys = append(keys, fmt.Sprintf("key %d", i))
	}
	return keys
}

// A chainConfig configures a chain; the zero value is a chain as in a program.
type chainConfig struct {
	At     interface{ URL() string } // a Server, a Sentinel, a Cluster or a Proxy
	Client redis.UniversalClient     // in place of At
	Redis  redisstore.Config
	Mirror mirror.Config // without OnChange

	// The controls.
	Forgetful bool         // drops the knowledge of the mirror
	Instead   store.Store  // in place of the mirror and all behind it
	Health    http.Handler // in place of middleware.Health
}

// A chain is a whole program: an HTTP server, the middleware, the limiter, the mirror,
// the shared store and a client for Redis.
type chain struct {
	URL    string
	Client redis.UniversalClient

	name    string
	server  *http.Server
	mirror  *mirror.Store // nil in a control without one
	tap     *tap          // nil in a control without one
	served  chan error
	closing sync.Once
	shots   sync.Map // of *shot, by number

	entered, inside atomic.Int64 // accepted requests, and those without an answer yet

	mu      sync.Mutex
	changes []mirror.Change
	faults  map[string]int // of the middleware, by class
}

var chains atomic.Int64

// startChain starts a chain, which ends with the test.
func startChain(t testing.TB, c chainConfig) *chain {
	t.Helper()
	s := &chain{name: fmt.Sprintf("chain%d", chains.Add(1)), served: make(chan error, 1), faults: map[string]int{}}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.URL = "http://" + listener.Addr().String()
	pprof.Do(t.Context(), pprof.Labels(caseLabel, s.name), func(context.Context) {
		s.server = &http.Server{Handler: s.handler(t, c), ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		go func() { s.served <- s.server.Serve(listener) }()
	})
	t.Cleanup(func() { s.close(t) })
	return s
}

// handler puts the chain together.
func (s *chain) handler(t testing.TB, c chainConfig) http.Handler {
	t.Helper()
	limits, err := plans.NewTable(plans.TableConfig{
		Default: testkit.Policy(t, faultLimit), Keys: map[string]*ratelimit.Policy{ledger: testkit.Policy(t, countable)},
	})
	if err != nil {
		t.Fatal(err)
	}
	backend := c.Instead
	if backend == nil {
		backend = s.mirrored(t, c)
	}
	limiter, err := ratelimit.New(backend, limits, ratelimit.Config{Observe: observe})
	if err != nil {
		t.Fatal(err)
	}
	limit := middleware.Must(middleware.RateLimit(limiter, middleware.Config{
		Key: middleware.Header("X-API-Key"), Logger: slog.New(slog.DiscardHandler),
		OnFault: func(_ context.Context, class string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.faults[class]++
		},
	}))
	if c.Health == nil {
		c.Health = middleware.Health(limiter)
	}
	limited := limit(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "served")
	}))
	mux := http.NewServeMux()
	mux.Handle("/health", c.Health)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.entered.Add(1)
		s.inside.Add(1)
		defer s.inside.Add(-1)
		if one, ok := s.shots.Load(r.Header.Get(shotHeader)); ok {
			r = r.WithContext(context.WithValue(r.Context(), shotKey{}, one))
		}
		limited.ServeHTTP(w, r)
	})
	return mux
}

// mirrored returns the store of a program, with a tap.
func (s *chain) mirrored(t testing.TB, c chainConfig) store.Store {
	t.Helper()
	var err error
	if s.Client = c.Client; s.Client == nil {
		if s.Client, err = redisstore.NewClient(c.At.URL()); err != nil {
			t.Fatal(err)
		}
	}
	s.tap = &tap{Store: newStore(t, s.Client, c.Redis), forgetful: c.Forgetful}
	c.Mirror.OnChange = func(change mirror.Change) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changes = append(s.changes, change)
	}
	if s.mirror, err = mirror.New(s.tap, c.Mirror); err != nil {
		t.Fatal(err)
	}
	return s.mirror
}

// close shuts the program down as SIGTERM does.
func (s *chain) close(t testing.TB) {
	t.Helper()
	s.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), chaos.Patience(10*time.Second)) //nolint:usetesting // the test's has ended
		defer cancel()
		if err := s.server.Shutdown(ctx); err != nil {
			t.Errorf("the HTTP server does not shut down: %v", err)
		}
		if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the HTTP server ended with %v", err)
		}
		if s.mirror != nil {
			_ = s.mirror.Close()
		}
		if s.Client != nil {
			_ = s.Client.Close()
		}
	})
}

// transitions returns the changes that OnChange got.
func (s *chain) transitions() []mirror.Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mirror.Change(nil), s.changes...)
}

// faultCount returns the number of requests that the middleware served or denied without a
// decision.
func (s *chain) faultCount() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return count(s.faults)
}

// A healthAnswer is the answer of the health check.
type healthAnswer struct {
	Code    int `json:"-"`
	Status  string
	Decides string
	Parts   []struct {
		Name  string
		OK    bool
		Class string
	}
	Warnings []string
}

// names reports whether a part has this class.
func (h *healthAnswer) names(class string) bool {
	for _, part := range h.Parts {
		if !part.OK && part.Class == class {
			return true
		}
	}
	return false
}

// health calls the health check, as a load balancer does.
func (s *chain) health(t testing.TB) (h healthAnswer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), chaos.Patience(5*time.Second))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/health", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Errorf("the health check does not answer: %v", err)
		return h
	}
	defer answer.Body.Close()
	h.Code = answer.StatusCode
	if err := json.NewDecoder(answer.Body).Decode(&h); err != nil {
		t.Errorf("the answer of the health check cannot be read: %v", err)
	}
	return h
}
