package middleware_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestGolden compares whole responses with the files in testdata, byte for byte.
// Each is the last of a few calls, in a bubble where 200 ms are 200 ms.
func TestGolden(t *testing.T) {
	key := middleware.Header("X-API-Key")
	hourly := ratelimit.PerHour(1000).WithBurst(50).Named("hourly")
	four := []ratelimit.Limit{five, ratelimit.PerMinute(60).Named("minute"), ratelimit.PerHour(4).Named("hourly"), ratelimit.PerDay(1000).WithBurst(4).Named("daily")}
	long := ratelimit.PerSecond(5).WithBurst(10).Named(strings.Repeat("long-name", 7) + "!")
	down := func(t *testing.T) *ratelimit.Limiter {
		return limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{})
	}
	blocked := func(text string) func(*testing.T) *ratelimit.Limiter {
		return func(t *testing.T) *ratelimit.Limiter {
			p, err := ratelimit.ParsePolicy(text)
			if err != nil {
				t.Fatal(err)
			}
			return newLimiter(t, p, ratelimit.Config{})
		}
	}
	for _, g := range []struct {
		name    string
		limits  []ratelimit.Limit // none: 5/s
		limiter func(*testing.T) *ratelimit.Limiter
		shadow  bool
		config  middleware.Config
		outer   *ratelimit.Limit // of a middleware around this one
		before  int              // calls before the one that is compared
		call    call
		handler http.Handler
	}{
		{name: "allowed"},
		{name: "denied", before: 5},
		{name: "denied_second_in_queue", before: 6},
		{name: "denied_last_in_queue", before: 12},
		{name: "denied_queue_two_limits", before: 6, limits: []ratelimit.Limit{five, hourly}},
		{name: "denied_queue_reset", before: 7, config: middleware.Config{ResetHeader: middleware.ResetAsDelta}},
		{name: "denied_queue_cost", before: 2, config: middleware.Config{Cost: func(*http.Request) int { return 3 }}},
		{name: "denied_queue_disabled", before: 6, config: middleware.Config{DisableQueue: true}},
		{name: "denied_head", before: 5, call: call{method: "HEAD"}},
		{name: "denied_burst", before: 10, limits: []ratelimit.Limit{five.WithBurst(10)}},
		{name: "denied_one_per_minute", before: 1, limits: []ratelimit.Limit{ratelimit.PerMinute(1)}},
		{name: "denied_long_name", before: 10, limits: []ratelimit.Limit{long}},
		{name: "allowed_two_limits", limits: []ratelimit.Limit{five, hourly}},
		{name: "denied_two_limits", before: 5, limits: []ratelimit.Limit{five, hourly}},
		{name: "denied_both_limits", before: 5, limits: []ratelimit.Limit{five, ratelimit.PerHour(5).Named("hourly")}},
		{name: "denied_second_limit", before: 2, limits: []ratelimit.Limit{five, ratelimit.PerHour(2).Named("hourly")}},
		{name: "allowed_four_limits", before: 2, limits: four},
		{name: "denied_four_limits", before: 4, limits: four},
		{name: "denied_cost", before: 1, config: middleware.Config{Cost: func(*http.Request) int { return 3 }}},
		{name: "denied_cost_above_burst", config: middleware.Config{Cost: func(*http.Request) int { return 7 }}},
		{name: "denied_cost_above_one_burst", config: middleware.Config{Cost: func(*http.Request) int { return 7 }}, limits: []ratelimit.Limit{five, hourly}},
		{name: "denied_custom", before: 5, config: middleware.Config{Denied: func(w http.ResponseWriter, _ *http.Request, r ratelimit.Result) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprintf(w, "come back in %v\n", r.RetryAfter())
		}}},
		{name: "allowed_period", config: middleware.Config{LimitHeader: middleware.LimitAsPeriod}},
		{name: "allowed_reset_delta", config: middleware.Config{ResetHeader: middleware.ResetAsDelta}},
		{name: "allowed_reset_epoch", config: middleware.Config{ResetHeader: middleware.ResetAsEpoch}},
		{name: "denied_reset_time", before: 5, config: middleware.Config{ResetHeader: middleware.ResetAsTime}},
		{name: "two_keys", config: middleware.Config{Key: key}, call: call{header: http.Header{"X-API-Key": {"a", "b"}}}},
		{name: "no_key", config: middleware.Config{Key: key, RequireKey: true}},
		{name: "no_key_bearer", config: middleware.Config{Key: middleware.Bearer(), RequireKey: true, Challenge: "Bearer"}, call: call{method: "HEAD"}},
		{name: "fail_open", limiter: down},
		{name: "fail_closed", limiter: down, config: middleware.Config{FailClosed: true}},
		{name: "fail_closed_head", limiter: down, config: middleware.Config{FailClosed: true}, call: call{method: "HEAD"}},
		{name: "preflight", before: 5, call: call{method: "OPTIONS", header: http.Header{
			"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"POST"},
		}}},
		{name: "shadow_denied", before: 9, shadow: true},
		{name: "shadow_limit_denied", before: 9, limits: []ratelimit.Limit{five.Shadowed()}},
		{name: "shadow_limit_beside_allowed", before: 1, limits: []ratelimit.Limit{five, ratelimit.PerHour(1).Named("new").Shadowed()}},
		{name: "shadow_limit_beside_denied", before: 5, limits: []ratelimit.Limit{five, ratelimit.PerHour(1).Named("new").Shadowed()}},
		{name: "exempt", limiter: func(t *testing.T) *ratelimit.Limiter { return newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}) }},
		{name: "blocked", limiter: blocked("blocked;reason=chargeback")},
		{name: "blocked_until", limiter: blocked("blocked;until=2000-01-01T00:10:00Z, 5/s")},
		{name: "blocked_until_head", limiter: blocked("blocked;until=2000-01-01T00:10:00Z, 5/s"), call: call{method: "HEAD"}},
		{name: "blocked_429", limiter: blocked("blocked"), config: middleware.Config{BlockedStatus: 429}},
		{name: "blocked_custom", limiter: blocked("blocked;until=2000-01-01T00:10:00Z, 5/s"), config: middleware.Config{Denied: func(w http.ResponseWriter, _ *http.Request, r ratelimit.Result) {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "blocked: %v\n", r.Blocked())
		}}},
		{name: "nested_inner_tighter", outer: new(ratelimit.PerMinute(60).Named("outer"))},
		{name: "nested_outer_tighter", outer: new(ratelimit.PerMinute(3).Named("outer"))},
		{name: "nested_inner_denied", before: 5, outer: new(ratelimit.PerMinute(60).Named("outer"))},
		{name: "nested_outer_denied", before: 3, outer: new(ratelimit.PerMinute(3).Named("outer"))},
		{name: "health_ok", handler: health(t, nil)},
		{name: "health_head", handler: health(t, nil), call: call{method: "HEAD"}},
		{name: "health_method", handler: health(t, nil), call: call{method: "POST"}},
		{name: "health_degraded", handler: health(t, &store.Health{
			Status: store.StatusDegraded, Decides: "memory",
			Parts: []store.PartHealth{
				{Name: "redis", Class: "timeout", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
				{Name: "memory", OK: true, Proved: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)},
			},
			Warnings: []string{"the standby decides"},
		})},
		{name: "health_failed", handler: health(t, &store.Health{Status: store.StatusFailed})},
	} {
		t.Run(g.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := g.handler
				if h == nil {
					if g.limits == nil {
						g.limits = []ratelimit.Limit{five}
					}
					if g.limiter == nil {
						g.limiter = func(t *testing.T) *ratelimit.Limiter {
							return newLimiter(t, policy(t, g.limits...), ratelimit.Config{Shadow: g.shadow})
						}
					}
					h = middleware.Must(middleware.RateLimit(g.limiter(t), quiet(g.config)))(hello)
				}
				if g.outer != nil {
					h = middleware.Must(middleware.RateLimit(newLimiter(t, *g.outer, ratelimit.Config{}), middleware.Config{ResetHeader: middleware.ResetAsDelta}))(h)
				}
				for range g.before {
					call{}.to(h)
				}
				compare(t, g.name, dump(g.call.to(h)))
			})
		})
	}
}

// TestGoldenRoutes does the same for limits by route: two an hour for the export beside the
// key's own five a second, a search of cost 3, and a page that is held to its own limit alone.
func TestGoldenRoutes(t *testing.T) {
	export, search, status := call{target: "/export/1"}, call{target: "/search"}, call{target: "/status"}
	long := call{target: "/accounts/7/reports/2026/quarterly/export.csv"}
	for _, g := range []struct {
		name   string
		before []call
		call   call
	}{
		{"route_allowed", nil, export},
		{"route_denied", []call{export, export}, export},
		{"route_denied_head", []call{export, export}, call{target: "/export/2", method: "HEAD"}},
		{"route_denied_by_own", []call{search}, call{target: "/search"}},
		{"route_denied_both", []call{export, export, search}, export},
		{"route_instead_denied", []call{status}, status},
		{"route_long_name_denied", []call{long}, long},
		{"route_not_found", []call{export}, call{target: "/nothing"}},
		{"route_not_allowed", []call{export}, call{target: "/export/1", method: "PUT"}},
		{"route_redirected", []call{export}, call{target: "//export/1"}},
	} {
		t.Run(g.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const csv = "GET /accounts/{account}/reports/{year}/{report}/export.csv"
				one := []ratelimit.Limit{ratelimit.PerMinute(1)}
				h := routesOf(t, newLimiter(t, five, ratelimit.Config{}), muxOf("GET /export/{id}", "GET /search", "GET /status", csv), middleware.Config{},
					middleware.Route{Pattern: "GET /export/{id}", Limits: []ratelimit.Limit{ratelimit.PerHour(2)}},
					middleware.Route{Pattern: "GET /search", Cost: 3},
					middleware.Route{Pattern: "GET /status", Limits: one, Instead: true},
					middleware.Route{Pattern: csv, Limits: []ratelimit.Limit{one[0].Named("quarterly")}},
				)
				for _, c := range g.before {
					c.to(h)
				}
				compare(t, g.name, dump(g.call.to(h)))
			})
		})
	}
}

// compare checks got against a golden file.
func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; go test -run Golden -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("response:\n%s\nwant, as in %s:\n%s", got, file, want)
	}
}

// dump writes a response in the form that it has on the wire, its headers sorted.
func dump(w *httptest.ResponseRecorder) string {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\n", w.Code, http.StatusText(w.Code))
	for _, name := range slices.Sorted(maps.Keys(w.Header())) {
		for _, value := range w.Header()[name] {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	fmt.Fprintf(&b, "\n%s", w.Body)
	return b.String()
}

// health returns a Health handler whose limiter is in the given health, or, for
// nil, in its own: it is made when it is first used, inside the bubble.
func health(t *testing.T, h *store.Health) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limiter := newLimiter(t, five, ratelimit.Config{})
		if h != nil {
			limiter = limiterOn(t, checkedStore{health: *h}, five, ratelimit.Config{})
		}
		middleware.Health(limiter).ServeHTTP(w, r)
	})
}

// A checkedStore knows its health.
type checkedStore struct {
	brokenStore
	health store.Health
}

func (s checkedStore) Check(context.Context) store.Health {
	if s.panic != nil {
		panic(s.panic)
	}
	return s.health
}

// TestContract holds the two golden files that matter most to the text of the
// contract, so that -update cannot change what was promised.
func TestContract(t *testing.T) {
	for name, want := range map[string]string{
		"allowed": `HTTP/1.1 200 OK
Content-Type: text/plain; charset=utf-8
Ratelimit: "default";r=4;t=1
Ratelimit-Policy: "default";q=5;w=1
X-Rate-Limit-Limit: 5
X-Rate-Limit-Remaining: 4

hello
`,
		"denied": `HTTP/1.1 429 Too Many Requests
Cache-Control: no-store
Content-Type: application/problem+json
Ratelimit: "default";r=0;t=1
Ratelimit-Policy: "default";q=5;w=1
Retry-After: 1
Retry-After-Ms: 200
X-Content-Type-Options: nosniff
X-Rate-Limit-Limit: 5
X-Rate-Limit-Remaining: 0

{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded","status":429,` +
			`"detail":"Rate limit of 5 requests per 1s exceeded; retry after 200 ms.","violated-policies":["default"],` +
			`"limits":[{"policy":"default","limit":5,"period":"1s","remaining":0}],"retry_after_ms":200}` + "\n",
	} {
		got, err := os.ReadFile(filepath.Join("testdata", name+".golden"))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got, want)
		}
	}
}
