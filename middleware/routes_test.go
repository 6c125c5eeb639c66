package middleware_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// muxOf returns a mux that answers each pattern with hello.
func muxOf(patterns ...string) *http.ServeMux {
	mux := http.NewServeMux()
	for _, p := range patterns {
		mux.Handle(p, hello)
	}
	return mux
}

func routesOf(t testing.TB, l *ratelimit.Limiter, mux *http.ServeMux, c middleware.Config, routes ...middleware.Route) http.Handler {
	t.Helper()
	h, err := middleware.Routes(l, mux, quiet(c), routes...)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// listed returns the names of the limits that a response lists, sorted.
func listed(header http.Header) []string {
	all := []string{}
	for _, m := range regexp.MustCompile(`"([^"]*)"`).FindAllStringSubmatch(header.Get(middleware.HeaderPolicy), -1) {
		all = append(all, m[1])
	}
	slices.Sort(all)
	return all
}

// TestRoutesGoByThePattern: a request is held to the limits of the pattern that the mux
// serves it by, however its path is spelled, and to the key's own where there is none.
func TestRoutesGoByThePattern(t *testing.T) {
	patterns := []string{
		"GET /export", "/search/", "GET /items/{id}", "POST /items/{id}", "GET /files/{path...}", "GET h.example/export",
		"/exact/{$}", "GET /{$}", "CONNECT /tunnel", "GET /a b", "/é", "GET /files/deep/",
	}
	mux := muxOf(append(patterns, "DELETE /items/{id}", "/search/help", "h.example/host/")...)
	mux.Handle("GET /moved", http.RedirectHandler("/export", http.StatusFound))
	patterns = append(patterns, "GET /moved")
	var routes []middleware.Route
	for _, p := range patterns {
		routes = append(routes, middleware.Route{Pattern: p, Limits: []ratelimit.Limit{ratelimit.PerHour(1000)}})
	}
	h := routesOf(t, newLimiter(t, ratelimit.PerHour(1000), ratelimit.Config{}), mux, middleware.Config{}, routes...)
	for _, c := range []struct {
		method, target string
		status         int
		route          string // "": none, the key's own limits alone
	}{
		{"GET", "/export", 200, "GET /export"},
		{"HEAD", "/export", 200, "GET /export"},
		{"GET", "/export?x=1;y=%zz", 200, "GET /export"},
		{"GET", "/%65xport", 200, "GET /export"},
		{"GET", "http://other.example/export", 200, "GET /export"},
		{"POST", "/export", 405, ""},
		{"OPTIONS", "/export", 405, ""},
		{"GET", "/export/", 404, ""},
		{"GET", "/EXPORT", 404, ""},
		{"GET", "//export", 307, ""},
		{"GET", "/./export", 307, ""},
		{"GET", "/x/../export", 307, ""},
		{"GET", "/%2Fexport", 404, ""},
		{"GET", "http://h.example/export", 200, "GET h.example/export"},
		{"GET", "http://h.example:8080/export", 200, "GET h.example/export"},
		{"HEAD", "http://h.example/%65xport", 200, "GET h.example/export"},
		{"GET", "http://H.example/export", 200, "GET /export"},
		{"GET", "http://h.example/host/x", 200, ""},
		{"GET", "/search", 307, ""},
		{"GET", "/search/", 200, "/search/"},
		{"BREW", "/search/deep/er", 200, "/search/"},
		{"GET", "/search//deep", 307, ""},
		{"GET", "/search/help", 200, ""},
		{"GET", "/items/1", 200, "GET /items/{id}"},
		{"HEAD", "/items/a%2Fb", 200, "GET /items/{id}"},
		{"POST", "/items/1", 200, "POST /items/{id}"},
		{"DELETE", "/items/1", 200, ""},
		{"PUT", "/items/1", 405, ""},
		{"GET", "/items/1/2", 404, ""},
		{"GET", "/files/", 200, "GET /files/{path...}"},
		{"GET", "/files/a/b/", 200, "GET /files/{path...}"},
		{"GET", "/files", 307, ""},
		{"GET", "/files/deep/x", 200, "GET /files/deep/"},
		{"GET", "/exact/", 200, "/exact/{$}"},
		{"GET", "/exact", 307, ""},
		{"GET", "/exact/x", 404, ""},
		{"GET", "/", 200, "GET /{$}"},
		{"GET", "/nothing", 404, ""},
		{"GET", "/a%20b", 200, "GET /a b"},
		{"GET", "/%C3%A9", 200, "/%C3%A9"},
		{"GET", "/moved", 302, "GET /moved"},
		{"GET", "//moved", 307, ""},
		{"CONNECT", "/tunnel", 200, "CONNECT /tunnel"},
		{"CONNECT", "/search/", 200, "/search/"},
		{"CONNECT", "/search", 307, ""},
		{"CONNECT", "/%65xport", 405, ""},
		{"CONNECT", "h.example:443", 405, ""},
		{"OPTIONS", "*", 400, ""},
	} {
		want := []string{"default"}
		if c.route != "" {
			want = append(want, c.route)
			slices.Sort(want)
		}
		w := wantStatus(t, h, call{method: c.method, target: c.target}, c.status)
		if got := listed(w.Header()); !slices.Equal(got, want) {
			t.Errorf("%s %s: held to %q, want %q", c.method, c.target, got, want)
		}
	}
	preflight := call{method: "OPTIONS", target: "/export", header: http.Header{
		"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"GET"},
	}}
	if got := listed(preflight.to(h).Header()); len(got) > 0 {
		t.Errorf("a preflight is held to %q", got)
	}
}

// TestRoutesDecideTogether: what a route's limit denies is not charged to the key's own,
// nor the other way round.
func TestRoutesDecideTogether(t *testing.T) {
	h := routesOf(t, newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{}), muxOf("GET /export", "/"), middleware.Config{},
		middleware.Route{Pattern: "GET /export", Limits: []ratelimit.Limit{ratelimit.PerHour(2), ratelimit.PerDay(10).Named("daily")}})
	export, other := call{target: "/export"}, call{target: "/other"}
	if n := export.exhaust(t, h); n != 2 {
		t.Errorf("%d exports were served, want 2", n)
	}
	for range 20 {
		wantStatus(t, h, export, 429)
	}
	w := wantStatus(t, h, export, 429)
	if got, want := w.Header().Get(middleware.HeaderPolicy), `"GET /export";q=2;w=3600, "default";q=5;w=3600, "GET /export#daily";q=10;w=86400`; got != want {
		t.Errorf("the limits are %s, want %s", got, want)
	}
	if n := other.exhaust(t, h); n != 3 {
		t.Errorf("%d other calls were served, want the 3 that the exports left", n)
	}
	if n := (call{target: "/other", key: "", peer: "192.0.2.77:1"}).exhaust(t, h); n != 5 {
		t.Errorf("another caller was served %d times, want 5", n)
	}
}

func TestRoutesInstead(t *testing.T) {
	h := routesOf(t, newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{}), muxOf("GET /status", "/"), middleware.Config{},
		middleware.Route{Pattern: "GET /status", Limits: []ratelimit.Limit{ratelimit.PerHour(9)}, Instead: true})
	if n := (call{target: "/status"}).exhaust(t, h); n != 9 {
		t.Errorf("%d calls of the route were served, want 9", n)
	}
	if n := (call{}).exhaust(t, h); n != 5 {
		t.Errorf("%d other calls were served, want all 5 of the key's own", n)
	}
}

func TestRoutesCost(t *testing.T) {
	c := middleware.Config{Cost: func(*http.Request) int { return 2 }}
	lookedUp := ratelimit.LimitsFunc(policy(t, ratelimit.PerHour(100)).PolicyFor) // so that some key might have more
	h := routesOf(t, newLimiter(t, lookedUp, ratelimit.Config{}), muxOf("/search", "/export", "/dear", "/"), c,
		middleware.Route{Pattern: "/search", Cost: 10},
		middleware.Route{Pattern: "/export", Limits: []ratelimit.Limit{ratelimit.PerHour(50)}},
		middleware.Route{Pattern: "/dear", Limits: []ratelimit.Limit{ratelimit.PerHour(5)}, Cost: 6},
	)
	for _, step := range []struct {
		target string
		status int
		left   string
	}{
		{"/", 200, `"default";r=98`},
		{"/search", 200, `"default";r=88`},
		{"//search", 307, `"default";r=86`}, // costs what any call does
		{"/export", 200, `"/export";r=48`},
		{"/dear", 429, `"/dear";r=5`},
		{"/", 200, `"default";r=82`},
	} {
		w := wantStatus(t, h, call{target: step.target}, step.status)
		if got := w.Header().Get(middleware.HeaderRateLimit); !strings.HasPrefix(got, step.left+";") {
			t.Errorf("%s: %s, want %s", step.target, got, step.left)
		}
		if step.status == 429 && w.Header().Get("Retry-After") != "" {
			t.Error("a cost above the burst has a wait")
		}
	}
}

// TestRouteThatIsNeverAdmitted: a cost that no key can ever pay is an error.
func TestRouteThatIsNeverAdmitted(t *testing.T) {
	table, err := plans.NewTable(plans.TableConfig{Default: policy(t, five)})
	if err != nil {
		t.Fatal(err)
	}
	two := policy(t, ratelimit.PerSecond(60), ratelimit.PerDay(1000).WithBurst(20).Named("daily"))
	for _, c := range []struct {
		name   string
		limits ratelimit.Limits
		route  middleware.Route
		want   string
	}{
		{"above the key's own", five, middleware.Route{Cost: 50}, "Route.Cost 50 must be at most 5, the burst of the limit 5/s, or no request is ever admitted"},
		{"by one", five, middleware.Route{Cost: 6}, "Route.Cost 6 must be at most 5"},
		{"equal", five, middleware.Route{Cost: 5}, ""},
		{"above a burst", five.WithBurst(3), middleware.Route{Cost: 4}, "Route.Cost 4 must be at most 3, the burst of the limit 5/s;burst=3"},
		{"within a burst", five.WithBurst(50), middleware.Route{Cost: 50}, ""},
		{"above one of a policy", two, middleware.Route{Cost: 50}, "Route.Cost 50 must be at most 20, the burst of the limit 1000/d;burst=20;name=daily"},
		{"above both of a policy", two, middleware.Route{Cost: 70}, "Route.Cost 70 must be at most 60"},
		{"above the route's own", ratelimit.PerSecond(100), middleware.Route{Cost: 50, Limits: []ratelimit.Limit{ratelimit.PerHour(10)}}, "Route.Cost 50 must be at most 10, the burst of the limit 10/h"},
		{"instead", five, middleware.Route{Cost: 50, Limits: []ratelimit.Limit{ratelimit.PerHour(60)}, Instead: true}, ""},
		{"above what is instead", five, middleware.Route{Cost: 50, Limits: []ratelimit.Limit{ratelimit.PerHour(40)}, Instead: true}, "Route.Cost 50 must be at most 40"},
		{"of a limit that only watches", five.Shadowed(), middleware.Route{Cost: 50}, ""},
		{"of one that will be enforced", five.EnforcedFrom(time.Date(2036, 1, 1, 0, 0, 0, 0, time.UTC)), middleware.Route{Cost: 50}, "Route.Cost 50 must be at most 5"},
		{"a table, where a key may have more", table, middleware.Route{Cost: 50}, ""},
		{"limits that are looked up", ratelimit.LimitsFunc(two.PolicyFor), middleware.Route{Cost: 70}, ""},
		{"no limits", ratelimit.Unlimited, middleware.Route{Cost: 50}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.route.Pattern = "GET /export"
			_, err := middleware.Routes(newLimiter(t, c.limits, ratelimit.Config{}), muxOf("GET /export"), middleware.Config{}, c.route)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

func TestRoutesLeaveExemptKeysExempt(t *testing.T) {
	table, err := plans.NewTable(plans.TableConfig{
		Default: policy(t, five), Keys: map[string]*ratelimit.Policy{"staff": ratelimit.Unlimited},
	})
	if err != nil {
		t.Fatal(err)
	}
	h := routesOf(t, newLimiter(t, table, ratelimit.Config{}), muxOf("/a", "/b"), byKey,
		middleware.Route{Pattern: "/a", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}},
		middleware.Route{Pattern: "/b", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}, Instead: true, Cost: 100})
	for _, target := range []string{"/a", "/b", "/c"} {
		for range 10 {
			w := call{target: target, key: "staff"}.to(h)
			if w.Code == 429 || len(listed(w.Header())) > 0 {
				t.Errorf("%s: status %d, limits %q", target, w.Code, listed(w.Header()))
			}
		}
	}
	if n := (call{target: "/a", key: "customer"}).exhaust(t, h); n != 1 {
		t.Errorf("the control was served %d times, want 1", n)
	}
}

// TestRoutesFollowTheTable: plans are replaced while routes are called. No call fails, no
// route admits more than its own limit, and the last plan is in force at the end.
func TestRoutesFollowTheTable(t *testing.T) {
	plan := func(i int) plans.TableConfig {
		return plans.TableConfig{Default: policy(t, ratelimit.PerDay(1_000_000).Named(fmt.Sprintf("plan %d", i)))}
	}
	table, err := plans.NewTable(plan(0))
	if err != nil {
		t.Fatal(err)
	}
	var faults atomic.Int64
	c := middleware.Config{OnFault: func(context.Context, string) { faults.Add(1) }}
	h := routesOf(t, newLimiter(t, table, ratelimit.Config{}), muxOf("/a", "/b", "/"), c,
		middleware.Route{Pattern: "/a", Limits: []ratelimit.Limit{ratelimit.PerDay(30)}},
		middleware.Route{Pattern: "/b", Limits: []ratelimit.Limit{ratelimit.PerDay(40)}, Instead: true})
	var served [3]atomic.Int64
	var callers, replacer sync.WaitGroup
	done := make(chan struct{})
	replacer.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-done:
				return
			default:
				if err := table.Replace(plan(i % 50)); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 4 {
		callers.Go(func() {
			for i := range 600 {
				if (call{target: []string{"/a", "/b", "/c"}[i%3]}).to(h).Code == http.StatusOK {
					served[i%3].Add(1)
				}
			}
		})
	}
	callers.Wait()
	close(done)
	replacer.Wait()
	if a, b, other := served[0].Load(), served[1].Load(), served[2].Load(); a != 30 || b != 40 || other != 800 || faults.Load() > 0 {
		t.Errorf("served %d, %d and %d times, with %d faults; want 30, 40 and 800, and none", a, b, other, faults.Load())
	}
	if err := table.Replace(plan(99)); err != nil {
		t.Fatal(err)
	}
	if got, want := listed(call{target: "/a"}.to(h).Header()), []string{"/a", "plan 99"}; !slices.Equal(got, want) {
		t.Errorf("held to %q, want %q", got, want)
	}
}

// TestRoutesShadow: a shadow limit of a route denies no request, and is reported.
func TestRoutesShadow(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(5), ratelimit.Config{})
	h := routesOf(t, l, muxOf("/export", "/watched"), middleware.Config{},
		middleware.Route{Pattern: "/export", Limits: []ratelimit.Limit{ratelimit.PerHour(2).Shadowed()}},
		middleware.Route{Pattern: "/watched", Limits: []ratelimit.Limit{ratelimit.PerHour(1).Shadowed()}, Instead: true})
	if got := listed(call{target: "/export"}.to(h).Header()); !slices.Equal(got, []string{"default"}) {
		t.Errorf("held to %q", got)
	}
	if n := (call{target: "/export"}).exhaust(t, h); n != 4 {
		t.Errorf("served %d times, want the 4 that are left of the key's own", n)
	}
	for range 3 {
		w := wantStatus(t, h, call{target: "/watched"}, 200)
		if got := listed(w.Header()); len(got) > 0 {
			t.Errorf("a caller is shown %q, which only watch", got)
		}
	}
	report := l.ShadowReport()
	got := map[string]int64{}
	for _, k := range report.Keys {
		got[k.Limit] = k.WouldDeny
	}
	if report.WouldDeny != 5 || got["/export"] != 3 || got["/watched"] != 2 {
		t.Errorf("%d would have been denied: %v", report.WouldDeny, got)
	}
}

// TestRoutesAreOtherwiseAsRateLimit: the same calls get the same answers, byte for byte,
// also on a route whose limits do not show.
func TestRoutesAreOtherwiseAsRateLimit(t *testing.T) {
	two := http.Header{"X-API-Key": {"a", "b"}}
	preflight := http.Header{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"GET"}}
	skip := http.Header{"X-Skip": {"1"}}
	calls := []call{
		{key: "a", target: "/x"}, {key: "a", target: "/x"}, {key: "a", target: "/x"}, {key: "a", target: "/x", method: "HEAD"},
		{target: "/x"}, {target: "/x"}, {target: "/x", header: two}, {target: "/x", method: "OPTIONS", header: preflight},
		{key: "a", target: "/x", header: skip}, {key: "b", target: "/nothing"}, {key: "b", target: "//x"}, {key: "b", target: "/y"}, {key: "b", target: "/y"},
	}
	skips := func(r *http.Request) bool { return r.Header.Get("X-Skip") != "" }
	panics := func(*http.Request) int { panic("cost") }
	for name, c := range map[string]middleware.Config{
		"plain":     byKey,
		"skip":      {Key: byKey.Key, Skip: skips},
		"required":  {Key: byKey.Key, RequireKey: true, Challenge: "x"},
		"forms":     {Key: byKey.Key, LimitHeader: middleware.LimitAsPeriod, ResetHeader: middleware.ResetAsDelta},
		"panics":    {Key: keyFunc(func(*http.Request) string { panic("key") }), Skip: func(*http.Request) bool { panic("skip") }, Cost: panics},
		"closed":    {Key: byKey.Key, FailClosed: true},
		"in-memory": {Key: byKey.Key, ResultInContext: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				mux := muxOf("/x", "GET /y")
				mux.HandleFunc("/result", func(w http.ResponseWriter, r *http.Request) {
					_, ok := middleware.ResultFrom(r.Context())
					fmt.Fprintln(w, ok, r.Pattern)
				})
				limiter := func() *ratelimit.Limiter {
					if c.FailClosed {
						return limiterOn(t, brokenStore{err: errDown}, ratelimit.PerMinute(2), ratelimit.Config{})
					}
					return newLimiter(t, ratelimit.PerMinute(2), ratelimit.Config{})
				}
				var one, other recorder
				plain := middleware.Must(middleware.RateLimit(limiter(), one.watch(c)))(mux)
				routed, err := middleware.Routes(limiter(), mux, other.watch(c), middleware.Route{Pattern: "/x", Limits: []ratelimit.Limit{ratelimit.PerSecond(1000).Shadowed()}})
				if err != nil {
					t.Fatal(err)
				}
				for i, c := range append(calls, call{key: "c", target: "/result"}) {
					if got, want := dump(c.to(routed)), dump(c.to(plain)); got != want {
						t.Errorf("call %d:\n%s\nwant\n%s", i, got, want)
					}
				}
				if !slices.Equal(one.faults(), other.faults()) || one.logged() != other.logged() {
					t.Errorf("faults %q in %d lines, want %q in %d", other.faults(), other.logged(), one.faults(), one.logged())
				}
			})
		})
	}
}

// TestRoutesShareTheLog: the faults of all routes together are a line a second.
func TestRoutesShareTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		mux := muxOf("/a", "/b", "/c")
		h, err := middleware.Routes(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), mux, r.watch(middleware.Config{}),
			middleware.Route{Pattern: "/a", Cost: 2}, middleware.Route{Pattern: "/b", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}})
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			for _, target := range []string{"/a", "/b", "/c"} {
				wantStatus(t, h, call{target: target}, 200)
			}
		}
		if len(r.faults()) != 30 || r.logged() != 1 {
			t.Errorf("%d faults in %d lines, want 30 in 1", len(r.faults()), r.logged())
		}
	})
}

// TestRoutesNested: behind another limit, a route adds no second set of headers.
func TestRoutesNested(t *testing.T) {
	inner := routesOf(t, newLimiter(t, ratelimit.PerHour(50), ratelimit.Config{}), muxOf("/a", "/b"), middleware.Config{},
		middleware.Route{Pattern: "/a", Limits: []ratelimit.Limit{ratelimit.PerHour(3)}})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(10).Named("outer"), ratelimit.Config{}), middleware.Config{}))(inner)
	for target, want := range map[string][]string{"/a": {"/a", "default"}, "/b": {"outer"}} {
		w := call{target: target}.to(h)
		if got := listed(w.Header()); !slices.Equal(got, want) || len(w.Header()[middleware.HeaderPolicy]) != 1 {
			t.Errorf("%s: %q, want %q", target, w.Header()[middleware.HeaderPolicy], want)
		}
	}
}

// TestRoutesRejects: all faults at once, each with its route.
func TestRoutesRejects(t *testing.T) {
	mux := muxOf("GET /export", "GET  /spaced", "/sub/", "/sub/{$}", "/x/{a}", "/x/{a}/{b}", "host.example:8080/port", "/un//clean")
	limit := []ratelimit.Limit{ratelimit.PerMinute(2)}
	four := policy(t, five, ratelimit.PerMinute(9).Named("m"), ratelimit.PerHour(9).Named("h"), ratelimit.PerDay(9).Named("d"))
	for _, c := range []struct {
		name   string
		limits ratelimit.Limits
		config middleware.Config
		routes []middleware.Route
		want   []string
	}{
		{name: "no pattern", routes: []middleware.Route{{Limits: limit}}, want: []string{`routes[0] "": Route.Pattern must be one of the mux, such as "GET /export"`}},
		{name: "not registered", routes: []middleware.Route{{Pattern: "GET /exports", Limits: limit}}, want: []string{`routes[0] "GET /exports": Route.Pattern must be registered`}},
		{name: "another method", routes: []middleware.Route{{Pattern: "POST /export", Limits: limit}}, want: []string{`"POST /export": Route.Pattern must be registered`, `the mux has "GET /export"`}},
		{name: "no method", routes: []middleware.Route{{Pattern: "/export", Limits: limit}}, want: []string{`"/export": Route.Pattern must be registered`, `the mux has "GET /export"`}},
		{name: "another spelling", routes: []middleware.Route{{Pattern: "GET /spaced", Limits: limit}}, want: []string{`those that it matches go to "GET  /spaced"`}},
		{name: "another wildcard", routes: []middleware.Route{{Pattern: "/x/{b}", Limits: limit}}, want: []string{`those that it matches go to "/x/{a}"`}},
		{name: "a part of another", routes: []middleware.Route{{Pattern: "/sub/deep", Limits: limit}}, want: []string{`those that it matches go to "/sub/"`}},
		{name: "a method in small letters", routes: []middleware.Route{{Pattern: "get /export", Limits: limit}}, want: []string{`the mux has "GET /export"`}},
		{name: "no pattern at all", routes: []middleware.Route{{Pattern: "export", Limits: limit}}, want: []string{`"export": Route.Pattern must be registered`}},
		{name: "bad escapes", routes: []middleware.Route{{Pattern: "/%zz{", Limits: limit}}, want: []string{`Route.Pattern must be registered`}},
		{name: "no request has its host", routes: []middleware.Route{{Pattern: "host.example:8080/port", Limits: limit}}, want: []string{`Route.Pattern must be registered`}},
		{name: "no request has its path", routes: []middleware.Route{{Pattern: "/un//clean", Limits: limit}}, want: []string{`Route.Pattern must be registered`}},
		{name: "twice", routes: []middleware.Route{{Pattern: "GET /export", Limits: limit}, {Pattern: "GET /export", Cost: 2}}, want: []string{`routes[1] "GET /export": Route.Pattern must differ`}},
		{name: "nothing of its own", routes: []middleware.Route{{Pattern: "GET /export"}}, want: []string{`routes[0] "GET /export": Route.Limits must be given, or Route.Cost`}},
		{name: "nothing instead", routes: []middleware.Route{{Pattern: "GET /export", Instead: true, Cost: 2}}, want: []string{`with Route.Instead always limits`}},
		{name: "a negative cost", routes: []middleware.Route{{Pattern: "GET /export", Limits: limit, Cost: -1}}, want: []string{`"GET /export": Route.Cost -1 must not be negative`}},
		{name: "a faulty limit", routes: []middleware.Route{{Pattern: "GET /export", Limits: []ratelimit.Limit{{Rate: -1, Period: time.Second}}}}, want: []string{`"GET /export": Route.Limits[0]: ratelimit: limit "default": Rate -1`}},
		{name: "a name that is too long", routes: []middleware.Route{{Pattern: "GET /export", Limits: []ratelimit.Limit{five.Named(strings.Repeat("n", 65))}}}, want: []string{`Name "nnn`}},
		{name: "a faulty name", routes: []middleware.Route{{Pattern: "GET /export", Limits: []ratelimit.Limit{five.Named(`a"b`)}}}, want: []string{`Name "a\"b"`}},
		{name: "two without a name", routes: []middleware.Route{{Pattern: "GET /export", Limits: []ratelimit.Limit{five, ratelimit.PerHour(9).Named("default")}}}, want: []string{`Name "GET /export" must differ`}},
		{name: "too many", limits: four, routes: []middleware.Route{{Pattern: "GET /export", Limits: limit}}, want: []string{`"GET /export": `, `limits "5 of them" must be 1 to 4`}},
		{name: "a name of the key's own", limits: five.Named("GET /export"), routes: []middleware.Route{{Pattern: "GET /export", Limits: limit}}, want: []string{`Name "GET /export" must differ`}},
		{name: "a name of the key's own, instead", limits: five.Named("GET /export"), routes: []middleware.Route{{Pattern: "GET /export", Limits: limit, Instead: true}}, want: []string{`Name "GET /export" must differ`}},
		{name: "shared without a home", routes: []middleware.Route{{Pattern: "GET /export", Limits: []ratelimit.Limit{five.SharedByHome()}}}, want: []string{`"GET /export": `, "Shared", "must come with a home"}},
		{name: "all at once", config: middleware.Config{Jitter: -1, LimitHeader: 7}, routes: []middleware.Route{
			{Pattern: "/a", Limits: []ratelimit.Limit{{}}, Cost: -1}, {Pattern: "/b"}, {Pattern: "GET /export", Limits: limit},
		}, want: []string{"Config.LimitHeader 7", "Config.Jitter -1ns", `routes[0] "/a": Route.Pattern must be registered`, `routes[0] "/a": Route.Cost -1`, `routes[0] "/a": Route.Limits[0]: ratelimit: limit "default": Rate 0`, `routes[0] "/a": Route.Limits[0]: ratelimit: limit "default": Period 0s`, `routes[1] "/b": Route.Pattern must be registered`, `routes[1] "/b": Route.Limits must be given`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.limits == nil {
				c.limits = five
			}
			h, err := middleware.Routes(newLimiter(t, c.limits, ratelimit.Config{}), mux, c.config, c.routes...)
			if h != nil || err == nil {
				t.Fatalf("%v, %v", h, err)
			}
			at := 0
			for _, want := range c.want {
				i := strings.Index(err.Error()[at:], want)
				if i < 0 {
					t.Errorf("want %q, in this order, in: %v", want, err)
					continue
				}
				at += i
			}
		})
	}
	if h, err := middleware.Routes(nil, mux, middleware.Config{}, middleware.Route{Pattern: "GET /export", Limits: limit}); h != nil || err == nil || !strings.Contains(err.Error(), "limiter is nil") {
		t.Errorf("no limiter: %v", err)
	}
	// What is meant is no fault: a cost above the burst, and what is found by few requests.
	for _, r := range []middleware.Route{{Pattern: "GET /export", Limits: limit, Cost: 2}, {Pattern: "/sub/", Limits: limit}, {Pattern: "/sub/{$}", Limits: limit}} {
		if _, err := middleware.Routes(newLimiter(t, five, ratelimit.Config{}), mux, middleware.Config{}, r); err != nil {
			t.Error(err)
		}
	}
}

// TestRoutesFindHiddenPatterns: of a pattern below which there are others, most requests
// go to those.
func TestRoutesFindHiddenPatterns(t *testing.T) {
	for _, patterns := range [][]string{
		{"/a/", "/a/{$}", "/a/{x}", "/a/{x}/{y}", "/a/{x}/{y}/{z}"},
		{"/a/{x...}", "/a/{y}/{z...}"},
		{"GET /", "GET /{x}", "GET /{$}", "GET /x/y/z/{$}"},
		{"/{x}/{y}", "/b/{y}", "/b/c"},
		{"h.example/{x...}", "GET h.example/{x...}", "HEAD /{y...}"},
		{"CONNECT h.example/{x}/"},
		{"/%2e", "/%2E%2e/x", "/100%", "/a%2Fb", "/é", "GET\t /tab", " /blank", "GET /x y", "/{$}"},
	} {
		mux := muxOf(patterns...)
		for _, p := range patterns {
			if _, err := middleware.Routes(newLimiter(t, five, ratelimit.Config{}), mux, middleware.Config{}, middleware.Route{Pattern: p, Cost: 2}); err != nil {
				t.Errorf("of %q: %v", patterns, err)
			}
		}
	}
}

func TestRoutesOfTheDefaultMux(t *testing.T) {
	path := "/keyrate/routes/" + rand.Text() // the mux is that of all tests, and of each -count
	pattern := "GET " + path
	http.Handle(pattern, hello)
	h := routesOf(t, newLimiter(t, five, ratelimit.Config{}), nil, middleware.Config{}, middleware.Route{Pattern: pattern, Cost: 3})
	w := wantStatus(t, h, call{target: path}, 200)
	if got := w.Header().Get(middleware.HeaderRemaining); got != "2" {
		t.Errorf("%s left, want 2", got)
	}
}

// TestRoutesNeverShareWithTheKeysOwn: limits that are looked up for each key, and have a
// route's name, are a fault of the decision, and charge nothing.
func TestRoutesNeverShareWithTheKeysOwn(t *testing.T) {
	own := policy(t, ratelimit.PerHour(5).Named("GET /export"))
	l := newLimiter(t, ratelimit.LimitsFunc(own.PolicyFor), ratelimit.Config{})
	for _, instead := range []bool{false, true} {
		var r recorder
		c := r.watch(middleware.Config{FailClosed: true})
		h, err := middleware.Routes(l, muxOf("GET /export", "/"), c, middleware.Route{Pattern: "GET /export", Limits: []ratelimit.Limit{ratelimit.PerHour(1)}, Instead: instead})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			wantStatus(t, h, call{target: "/export"}, 503)
		}
		if got := r.faults(); len(got) != 3 || got[0] != store.ClassLimits {
			t.Errorf("faults %q", got)
		}
	}
	if p, err := l.Peek(t.Context(), middleware.AddressKey(call{}.addr())); err != nil || p.Remaining() != 5 {
		t.Errorf("%d left of the key's own, want 5; %v", p.Remaining(), err)
	}
}

// TestRouteNameReachesTheBucket: as the comment of RouteName says.
func TestRouteNameReachesTheBucket(t *testing.T) {
	l := newLimiter(t, five, ratelimit.Config{})
	daily := ratelimit.PerDay(1).Named("daily")
	h := routesOf(t, l, muxOf("/export"), byKey, middleware.Route{Pattern: "/export", Limits: []ratelimit.Limit{daily}})
	export := call{target: "/export", key: "a"}
	wantStatus(t, h, export, 200)
	wantStatus(t, h, export, 429)
	part, err := l.With(daily.Named(middleware.RouteName("/export", daily.Name)))
	if err != nil {
		t.Fatal(err)
	}
	if err := part.Reset(t.Context(), middleware.BucketKey("a")); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, h, export, 200)
}

// TestRoutesAreResetAfterACollection: what Routes has made stays in use, so that its limits are
// shown and reset with the key's own.
func TestRoutesAreResetAfterACollection(t *testing.T) {
	limiter := newLimiter(t, five, ratelimit.Config{})
	h := routesOf(t, limiter, muxOf("/a"), byKey, middleware.Route{Pattern: "/a", Limits: []ratelimit.Limit{ratelimit.PerDay(1)}})
	a := call{key: "a", target: "/a"}
	wantStatus(t, h, a, http.StatusOK)
	runtime.GC()
	runtime.GC()
	if parts, err := limiter.PeekParts(t.Context(), "a"); err != nil || len(parts) != 1 {
		t.Errorf("%d parts, %v", len(parts), err)
	}
	if err := limiter.Reset(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	wantStatus(t, h, a, http.StatusOK)
}

// TestRoutesReportPanics: of the mux' handlers, none is recovered.
func TestRoutesReportPanics(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	h := routesOf(t, newLimiter(t, five, ratelimit.Config{}), mux, middleware.Config{}, middleware.Route{Pattern: "/abort", Cost: 2})
	defer func() {
		if v := recover(); v != any(http.ErrAbortHandler) {
			t.Errorf("recovered %v", v)
		}
	}()
	h.ServeHTTP(httptest.NewRecorder(), call{target: "/abort"}.request())
}

// TestRoutesConcurrentlyOnAServer: over real HTTP, of many callers of one key, each route
// admits exactly its limit.
func TestRoutesConcurrentlyOnAServer(t *testing.T) {
	l, err := ratelimit.New(memstore.New(memstore.Config{}), ratelimit.PerDay(100), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := byKey
	c.Logger = slog.New(slog.DiscardHandler)
	h, err := middleware.Routes(l, muxOf("/a", "/b/{id}", "/"), c,
		middleware.Route{Pattern: "/a", Limits: []ratelimit.Limit{ratelimit.PerDay(7)}},
		middleware.Route{Pattern: "/b/{id}", Limits: []ratelimit.Limit{ratelimit.PerDay(9)}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	var served [3]atomic.Int64
	var wg sync.WaitGroup
	for caller := range 8 {
		wg.Go(func() {
			for i := range 45 {
				target := []string{"/a", fmt.Sprintf("/b/%d", caller), "/c"}[i%3]
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+target, nil)
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("X-API-Key", "one")
				answer, err := server.Client().Do(r)
				if err != nil {
					t.Error(errors.Unwrap(err))
					return
				}
				answer.Body.Close()
				if answer.StatusCode == http.StatusOK {
					served[i%3].Add(1)
				}
			}
		})
	}
	wg.Wait()
	if a, b, other := served[0].Load(), served[1].Load(), served[2].Load(); a != 7 || b != 9 || a+b+other != 100 {
		t.Errorf("served %d of /a, %d of /b and %d others; want 7, 9, and 100 in all", a, b, other)
	}
}
