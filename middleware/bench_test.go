package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store/memstore"
)

// A sink is a ResponseWriter that costs as little as one can.
type sink struct {
	header http.Header
	status int
}

func (s *sink) Header() http.Header { return s.header }

func (s *sink) WriteHeader(status int) { s.status = status }

func (s *sink) Write(b []byte) (int, error) { return len(b), nil }

// reset makes a sink ready for the next response: headers that are left over would
// look like those of an outer middleware.
func (s *sink) reset() {
	clear(s.header)
	s.status = 0
}

var bare = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })

// a cost is a case that is measured: a handler, and the request to it.
type measured struct {
	name    string
	allocs  float64 // at most
	limit   ratelimit.Limit
	config  middleware.Config
	handler func(http.Handler) http.Handler // nil: RateLimit with the above
}

var (
	plenty = ratelimit.PerSecond(1_000_000_000)
	scarce = ratelimit.PerDay(1)
	byKey  = middleware.Config{Key: middleware.Header("X-API-Key")}
)

var allMeasured = []measured{
	{name: "bare", handler: func(next http.Handler) http.Handler { return next }},
	{name: "allowed", allocs: 2, limit: plenty, config: byKey},
	{name: "denied", allocs: 5, limit: scarce, config: byKey},
	{name: "allowed/address", allocs: 3, limit: plenty}, // and one for the name of the bucket
	{name: "denied/address", allocs: 5, limit: scarce},
	{name: "allowed/forwarded", allocs: 3, limit: plenty, config: middleware.Config{
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}},
	{name: "allowed/in context", allocs: 4, limit: plenty, config: middleware.Config{Key: middleware.Header("X-API-Key"), ResultInContext: true}},
	// What a mux costs, without limits, behind RateLimit, and behind Routes: Routes asks it
	// once more, and that is all.
	{name: "mux", handler: func(next http.Handler) http.Handler { return muxTo(next, "GET /{$}") }},
	{name: "mux/allowed", allocs: 2, handler: func(next http.Handler) http.Handler {
		return middleware.Must(middleware.RateLimit(memory(plenty), byKey))(muxTo(next, "GET /{$}"))
	}},
	{name: "route/none/allowed", allocs: 2, handler: func(next http.Handler) http.Handler {
		return routed(muxTo(next, "GET /{$}", "GET /other"), middleware.Route{Pattern: "GET /other", Cost: 2})
	}},
	{name: "route/cost/allowed", allocs: 2, handler: func(next http.Handler) http.Handler {
		return routed(muxTo(next, "GET /{$}"), middleware.Route{Pattern: "GET /{$}", Cost: 2})
	}},
	{name: "route/instead/allowed", allocs: 2, handler: func(next http.Handler) http.Handler {
		return routed(muxTo(next, "GET /{$}"), middleware.Route{Pattern: "GET /{$}", Limits: []ratelimit.Limit{plenty}, Instead: true})
	}},
	{name: "two limits/allowed", allocs: 2, handler: func(next http.Handler) http.Handler {
		return middleware.Must(middleware.RateLimit(memory(policyOf(plenty, plenty.Named("two"))), byKey))(muxTo(next, "GET /{$}"))
	}},
	{name: "route/two limits/allowed", allocs: 2, handler: func(next http.Handler) http.Handler {
		return routed(muxTo(next, "GET /{$}"), middleware.Route{Pattern: "GET /{$}", Limits: []ratelimit.Limit{plenty}})
	}},
	{name: "at once/allowed", allocs: 5, limit: ratelimit.AtOnce(10), config: byKey},
	{name: "at once/two limits/allowed", allocs: 5, handler: func(next http.Handler) http.Handler {
		return middleware.Must(middleware.RateLimit(memory(policyOf(plenty, ratelimit.AtOnce(10))), byKey))(next)
	}},
	{name: "two limits/denied", allocs: 5, handler: func(next http.Handler) http.Handler {
		return middleware.Must(middleware.RateLimit(memory(policyOf(plenty, scarce.Named("two"))), byKey))(muxTo(next, "GET /{$}"))
	}},
	{name: "route/two limits/denied", allocs: 5, handler: func(next http.Handler) http.Handler {
		return routed(muxTo(next, "GET /{$}"), middleware.Route{Pattern: "GET /{$}", Limits: []ratelimit.Limit{scarce}})
	}},
}

// memory returns a limiter on memory.
func memory(limits ratelimit.Limits) *ratelimit.Limiter {
	l, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		panic(err)
	}
	return l
}

func policyOf(limits ...ratelimit.Limit) *ratelimit.Policy {
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		panic(err)
	}
	return p
}

func muxTo(h http.Handler, patterns ...string) *http.ServeMux {
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, h)
	}
	return mux
}

func routed(mux *http.ServeMux, r middleware.Route) http.Handler {
	h, err := middleware.Routes(memory(plenty), mux, byKey, r)
	if err != nil {
		panic(err)
	}
	return h
}

func (m measured) serve(t testing.TB) func() {
	wrap := m.handler
	if wrap == nil {
		limiter, err := ratelimit.New(memstore.New(memstore.Config{}), m.limit, ratelimit.Config{})
		if err != nil {
			t.Fatal(err)
		}
		wrap = middleware.Must(middleware.RateLimit(limiter, m.config))
	}
	handler := wrap(bare)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("X-Api-Key", "key-0123456789abcdefghij")
	r.Header.Set("X-Forwarded-For", "203.0.113.7, 192.0.2.9")
	w := &sink{header: http.Header{}}
	return func() {
		w.reset()
		handler.ServeHTTP(w, r)
	}
}

func BenchmarkMiddleware(b *testing.B) {
	for _, m := range allMeasured {
		b.Run(m.name, func(b *testing.B) {
			serve := m.serve(b)
			serve()
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
	}
}

// BenchmarkAtOnceAgainstRate reports how much longer a request takes behind a limit on
// concurrent calls than behind a rate, and with a price. The three take turns, so that what
// else runs on the machine slows them alike.
func BenchmarkAtOnceAgainstRate(b *testing.B) {
	limits := func(next http.Handler) []http.Handler {
		reserving := byKey
		reserving.Reserve = func(*http.Request) int { return 1 }
		return []http.Handler{
			middleware.Must(middleware.RateLimit(memory(plenty), byKey))(next),
			middleware.Must(middleware.RateLimit(memory(ratelimit.AtOnce(10)), byKey))(next),
			middleware.Must(middleware.RateLimit(memory(plenty), reserving))(next),
		}
	}
	b.Run("handler", func(b *testing.B) {
		r, w := call{key: "key-0123456789abcdefghij"}.request(), &sink{header: http.Header{}}
		var serve []func()
		for _, h := range limits(bare) {
			serve = append(serve, func() {
				w.reset()
				h.ServeHTTP(w, r)
			})
		}
		compareTimes(b, serve)
	})
	b.Run("server", func(b *testing.B) {
		var serve []func()
		for _, h := range limits(bare) {
			s := httptest.NewServer(h)
			defer s.Close()
			r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, s.URL, nil)
			if err != nil {
				b.Fatal(err)
			}
			r.Header.Set("X-API-Key", "key-0123456789abcdefghij")
			serve = append(serve, func() {
				response, err := s.Client().Do(r)
				if err != nil || response.StatusCode != http.StatusOK {
					b.Fatal(response, err)
				}
				response.Body.Close()
			})
		}
		compareTimes(b, serve)
	})
}

// compareTimes runs functions by turns and reports their times relative to the first one's.
func compareTimes(b *testing.B, serve []func()) {
	took := make([]time.Duration, len(serve))
	for b.Loop() {
		for i, f := range serve {
			start := time.Now()
			for range 20 {
				f()
			}
			took[i] += time.Since(start)
		}
	}
	b.ReportMetric(float64(took[1])/float64(took[0]), "at-once/rate")
	b.ReportMetric(float64(took[2])/float64(took[0]), "reserve/rate")
}

func TestAllocations(t *testing.T) {
	for _, m := range allMeasured {
		t.Run(m.name, func(t *testing.T) {
			serve := m.serve(t)
			serve()
			if got := testing.AllocsPerRun(200, serve); got > m.allocs {
				t.Errorf("%v allocations, want at most %v", got, m.allocs)
			}
		})
	}
}

// TestPlansAllocateNothing: many plans allocate no more than one policy does.
func TestPlansAllocateNothing(t *testing.T) {
	byPlan := map[string]*ratelimit.Policy{}
	var keys []string
	for i := range 50 {
		key := fmt.Sprintf("key-%d", i)
		keys = append(keys, key)
		byPlan[key] = policy(t, ratelimit.PerSecond(1_000_000+i))
	}
	table, err := plans.NewTable(plans.TableConfig{Default: policy(t, five), Keys: byPlan})
	if err != nil {
		t.Fatal(err)
	}
	h := middleware.Must(middleware.RateLimit(newLimiter(t, table, ratelimit.Config{}), byKey))(bare)
	w, r, i := &sink{header: http.Header{}}, call{key: "x"}.request(), 0
	serve := func() {
		r.Header["X-Api-Key"][0] = keys[i%len(keys)]
		i++
		w.reset()
		h.ServeHTTP(w, r)
	}
	for range keys {
		serve()
	}
	if got := testing.AllocsPerRun(200, serve); got > 2 {
		t.Errorf("%v allocations with 50 plans, want at most 2", got)
	}
}
