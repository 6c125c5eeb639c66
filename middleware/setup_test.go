package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// The attacks on rate limiters that come through the door, and their tests:
//
//	forged X-Forwarded-For, X-Real-IP                 TestForgedHeaders, FuzzClientAddress
//	credential that auth reads differently            TestSpellingsOfAToken, TestBearer, TestVerifiedIdentity
//	no key                                            TestWithoutAKey
//	two values of the key header                      TestKeyHeaderTwice
//	1 MiB key, NUL, tabs, look-alikes                 TestStrangeKeys, FuzzKey
//	ambiguous join                                    TestKeysAreNeverJoined
//	IPv6 rotation inside a /64, IPv4-mapped addresses TestIPv6Rotation, TestClientAddress
//	IPv4 inside IPv6: all of IPv4 in one bucket       TestEmbeddedIPv4, TestNAT64ClientsAreApart
//	path spelling                                     TestSpellingsOfAPath
//	HEAD and OPTIONS unlimited                        TestEveryMethodCosts, TestPreflight, TestServerHead
//	many operations in one call                       TestCostOfManyOperations
//	HTTP/2 rapid reset                                TestServerRapidReset
//	stalled body or reader of the 429                 TestServerStalledBody, TestServerStalledReader
//	429 as amplifier                                  TestDenialIsSmall, TestBodySize, TestLogRate, TestJitter
//	negative or huge cost                             TestStrangeCosts, TestExtremes
//	memory by random keys                             TestRandomKeysTakeNoMemory
//	API keys in logs, errors, panics                  TestCanary
//	the key as a metric label                         TestFaultClassesAreFew
//	reflection                                        TestNothingIsReflected
//	silent fail-open                                  TestFailOpenIsReported, TestFaults
//	panicking KeyFunc or hook                         TestFaults, TestPanickingFunctionsLimit, TestHooksThatPanic
//
// Attacks on hashes, clocks, eviction and Redis are tested at the stores.

// five is the limit that nearly every test holds its callers to.
var five = ratelimit.PerSecond(5)

func newLimiter(t testing.TB, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	return limiterOn(t, memstore.New(memstore.Config{}), limits, c)
}

func limiterOn(t testing.TB, backend store.Store, limits ratelimit.Limits, c ratelimit.Config) *ratelimit.Limiter {
	t.Helper()
	limiter, err := ratelimit.New(backend, limits, c)
	if err != nil {
		t.Fatal(err)
	}
	return limiter
}

func policy(t testing.TB, limits ...ratelimit.Limit) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// hello is the handler behind the middleware.
var hello = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write([]byte("hello\n"))
})

// keyFunc is a Key that never fails.
func keyFunc(f func(*http.Request) string) middleware.Key {
	return middleware.KeyFunc(func(r *http.Request) (string, error) { return f(r), nil })
}

// quiet is a Config whose log goes nowhere.
func quiet(c middleware.Config) middleware.Config {
	c.Logger = slog.New(slog.DiscardHandler)
	return c
}

// A call is a request, by what matters here. Its zero value is GET / from
// 192.0.2.1, without a key.
type call struct {
	method string
	target string
	key    string // X-API-Key
	peer   string // RemoteAddr
	header http.Header
	ctx    context.Context
}

func (c call) request() *http.Request {
	if c.method == "" {
		c.method = http.MethodGet
	}
	if c.target == "" {
		c.target = "/"
	}
	r := httptest.NewRequest(c.method, c.target, nil) //nolint:noctx // set below
	if c.ctx != nil {
		r = r.WithContext(c.ctx)
	}
	for name, values := range c.header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	if c.key != "" {
		r.Header.Set("X-API-Key", c.key)
	}
	if c.peer != "" {
		r.RemoteAddr = c.peer
	}
	return r
}

// to sends the call to h.
func (c call) to(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, c.request())
	return w
}

// exhaust calls h until it denies, and returns how often it did not.
func (c call) exhaust(t *testing.T, h http.Handler) int {
	t.Helper()
	for n := range 1000 {
		if c.to(h).Code != http.StatusOK {
			return n
		}
	}
	t.Fatal("never denied")
	return 0
}

// wantStatus checks the status of one call.
func wantStatus(t *testing.T, h http.Handler, c call, want int) *httptest.ResponseRecorder {
	t.Helper()
	w := c.to(h)
	if w.Code != want {
		t.Errorf("%+v: status %d, want %d", c, w.Code, want)
	}
	return w
}

// A brokenStore fails with err or panics.
type brokenStore struct {
	err   error
	panic any
}

func (s brokenStore) Take(context.Context, store.Request) (store.Decision, error) {
	if s.panic != nil {
		panic(s.panic)
	}
	return store.Decision{}, s.err
}

func (s brokenStore) Reset(context.Context, store.Request) error { return s.err }

// A brokenSelfTimed is a brokenStore that no one guards.
type brokenSelfTimed struct{ brokenStore }

func (brokenSelfTimed) SelfTimed() {}

var errDown = &store.Error{Class: "down", Err: errors.New("connection refused")}

// A recorder keeps the classes of faults, and the lines of a log.
type recorder struct {
	mu      sync.Mutex
	classes []string
	lines   bytes.Buffer
}

func (r *recorder) fault(_ context.Context, class string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.classes = append(r.classes, class)
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.Write(p)
}

func (r *recorder) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines.String()
}

func (r *recorder) logged() int { return strings.Count(r.log(), "\n") }

func (r *recorder) faults() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.classes...)
}

// watch makes c report to r.
func (r *recorder) watch(c middleware.Config) middleware.Config {
	c.OnFault = r.fault
	c.Logger = slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return c
}

// addr is the address of the peer.
func (c call) addr() netip.Addr { return netip.MustParseAddrPort(c.request().RemoteAddr).Addr() }
