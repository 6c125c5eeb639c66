package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestNilHandler serves what http.Server would.
func TestNilHandler(t *testing.T) {
	wantStatus(t, middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(nil), call{target: "/no/such"}, http.StatusNotFound)
}

// TestTwoKeys: two keys do not disturb each other, nor the bucket of the address.
func TestTwoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
		for _, c := range []call{{key: "a"}, {key: "b"}, {}} {
			if n := c.exhaust(t, h); n != 5 {
				t.Errorf("key %q: %d calls admitted, want 5", c.key, n)
			}
		}
	})
}

// TestWaitIsEnough: a client that waits as long as it is told is admitted next, and
// one that waits a millisecond less is not.
func TestWaitIsEnough(t *testing.T) {
	limits := []ratelimit.Limit{
		five,
		ratelimit.PerSecond(3),
		{Rate: 7, Period: 1900 * time.Millisecond},
		{Rate: 1, Period: 10 * time.Second},
		ratelimit.PerMinute(100).WithBurst(3),
		{Rate: 700_001, Period: time.Second, Burst: 2},
	}
	for _, limit := range limits {
		for _, header := range []string{middleware.HeaderRetryAfter, middleware.HeaderRetryAfterMs} {
			t.Run(limit.String()+" "+header, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := middleware.Must(middleware.RateLimit(newLimiter(t, limit, ratelimit.Config{}), middleware.Config{}))(hello)
					unit := time.Millisecond
					if header == middleware.HeaderRetryAfter {
						unit = time.Second
					}
					for range 20 {
						w := call{}.to(h)
						for w.Code == http.StatusOK {
							w = call{}.to(h)
						}
						n, err := strconv.Atoi(w.Header().Get(header))
						if err != nil || n < 1 {
							t.Fatalf("%s: %q", header, w.Header().Get(header))
						}
						time.Sleep(time.Duration(n)*unit - unit)
						if n > 1 {
							wantStatus(t, h, call{}, http.StatusTooManyRequests)
						}
						time.Sleep(unit)
						wantStatus(t, h, call{}, http.StatusOK)
					}
				})
			})
		}
	}
}

func TestPreflight(t *testing.T) {
	origin := http.Header{"Origin": {"https://example.com"}}
	both := http.Header{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"GET"}}
	for _, c := range []struct {
		name string
		call call
		free bool
	}{
		{"preflight", call{method: "OPTIONS", header: both}, true},
		{"no origin", call{method: "OPTIONS", header: http.Header{"Access-Control-Request-Method": {"GET"}}}, false},
		{"no method asked for", call{method: "OPTIONS", header: origin}, false},
		{"plain OPTIONS", call{method: "OPTIONS"}, false},
		{"another method", call{method: "GET", header: both}, false},
		{"lower case", call{method: "options", header: both}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
			h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{RequireKey: true, Key: middleware.Header("X-API-Key")}))(hello)
			if !c.free {
				c.call.key = "k"
			}
			want := http.StatusOK
			for range 3 {
				w := wantStatus(t, h, c.call, want)
				if c.free {
					wantNoHeaders(t, w.Header())
				} else {
					want = http.StatusTooManyRequests
				}
			}
		})
	}
}

func wantNoHeaders(t *testing.T, h http.Header) {
	t.Helper()
	for _, name := range middleware.Headers() {
		if value, ok := h[name]; ok {
			t.Errorf("%s: %q, want no such header", name, value)
		}
	}
}

func TestCost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cost := 0
		limiter := newLimiter(t, five, ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{Cost: func(*http.Request) int { return cost }}))(hello)
		for _, step := range []struct {
			cost, status int
			remaining    string
		}{
			{0, 200, "5"}, {2, 200, "3"}, {4, 429, "3"}, {3, 200, "0"}, {1, 429, "0"}, {0, 200, "0"}, {6, 429, "0"},
		} {
			cost = step.cost
			w := wantStatus(t, h, call{}, step.status)
			if got := w.Header().Get(middleware.HeaderRemaining); got != step.remaining {
				t.Errorf("cost %d: remaining %s, want %s", cost, got, step.remaining)
			}
		}
	})
}

func TestSkip(t *testing.T) {
	skip := func(r *http.Request) bool { return r.URL.Path == "/health" }
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{Skip: skip}))(hello)
	for range 3 {
		wantNoHeaders(t, wantStatus(t, h, call{target: "/health"}, http.StatusOK).Header())
	}
	wantStatus(t, h, call{}, http.StatusOK)
	wantStatus(t, h, call{}, http.StatusTooManyRequests)
}

func TestRequireKey(t *testing.T) {
	config := byKey
	config.RequireKey = true
	h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), config))(hello)
	wantStatus(t, h, call{key: "k"}, http.StatusOK)
	wantStatus(t, h, call{}, http.StatusUnauthorized)
	wantStatus(t, h, call{key: " \t"}, http.StatusUnauthorized)
}

// TestShadow: whatever happens in shadow mode, the caller sees what it would see
// without the middleware, and the observer what enforcement would do.
func TestShadow(t *testing.T) {
	config := middleware.Config{
		Key: middleware.Header("X-API-Key"), RequireKey: true, FailClosed: true, ResetHeader: middleware.ResetAsDelta,
		Denied: func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) { w.WriteHeader(http.StatusTeapot) },
	}
	for _, c := range []struct {
		name  string
		store ratelimit.Store
		call  call
	}{
		{"denied", nil, call{key: "k"}},
		{"no key", nil, call{}},
		{"two keys", nil, call{header: http.Header{"X-API-Key": {"a", "b"}}}},
		{"store failed", brokenStore{err: errDown}, call{key: "k"}},
		{"store panicked", brokenSelfTimed{brokenStore{panic: "no"}}, call{key: "k"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limiter := newLimiter(t, five, ratelimit.Config{Shadow: true})
			if c.store != nil {
				limiter = limiterOn(t, c.store, five, ratelimit.Config{Shadow: true})
			}
			h := middleware.Must(middleware.RateLimit(limiter, quiet(config)))(hello)
			want := dump(c.call.to(hello))
			for range 10 {
				if got := dump(c.call.to(h)); got != want {
					t.Fatalf("response:\n%s\nwant, as without the middleware:\n%s", got, want)
				}
			}
		})
	}

	t.Run("a limit that is shadow, and the store failed", func(t *testing.T) {
		h := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five.Shadowed(), ratelimit.Config{}), quiet(config)))(hello)
		if got, want := dump(call{key: "k"}.to(h)), dump(call{key: "k"}.to(hello)); got != want {
			t.Errorf("response:\n%s\nwant, as without the middleware:\n%s", got, want)
		}
	})

	t.Run("would deny what enforcement denies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var would []bool
			shadow := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{Shadow: true, Observe: func(_ context.Context, e ratelimit.Event) {
				would = append(would, e.Result.WouldDeny)
			}}), byKey))(hello)
			enforced := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), byKey))(hello)
			for i := range 40 {
				c := call{key: strconv.Itoa(i % 3)}
				wantStatus(t, shadow, c, http.StatusOK)
				if denied := c.to(enforced).Code == http.StatusTooManyRequests; denied != would[i] {
					t.Errorf("call %d: denied %v, would deny %v", i, denied, would[i])
				}
				time.Sleep(50 * time.Millisecond)
			}
		})
	})
}

func TestResultInContext(t *testing.T) {
	var got ratelimit.Result
	var ok bool
	look := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, ok = middleware.ResultFrom(r.Context()) })
	limiter := newLimiter(t, five, ratelimit.Config{})
	call{}.to(middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(look))
	if ok {
		t.Error("there is a result, though nobody asked for it")
	}
	on := middleware.Config{ResultInContext: true}
	call{}.to(middleware.Must(middleware.RateLimit(limiter, on))(look))
	if !ok || got.Remaining != 3 || got.Limit != five.WithBurst(5).Named("default") {
		t.Errorf("result %+v, %v; want 3 of 5 remaining", got, ok)
	}
	inner := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
	call{}.to(middleware.Must(middleware.RateLimit(limiter, on))(middleware.Must(middleware.RateLimit(inner, on))(look)))
	if !ok || got.Remaining != 99 {
		t.Errorf("result %+v, %v; want the innermost", got, ok)
	}
	call{}.to(middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{Shadow: true}), on))(look))
	if !ok || !got.Shadow {
		t.Errorf("result %+v, %v; want one in shadow mode, too", got, ok)
	}
	call{}.to(middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}), on))(look))
	if !ok || !got.Exempt() {
		t.Errorf("result %+v, %v; want one for an exempt key, too", got, ok)
	}
	call{}.to(middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), quiet(on)))(look))
	if ok {
		t.Errorf("result %+v, though nothing was decided", got)
	}
}

// TestDecisionContext: the limiter gets the values of the request's context, but not
// its end: see TestAttackRapidReset.
func TestDecisionContext(t *testing.T) {
	type id struct{}
	ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), id{}, "request 7"), time.Minute)
	cancel()
	seen := false
	limits := ratelimit.LimitsFunc(func(ctx context.Context, _ string) (*ratelimit.Policy, error) {
		seen = true
		if ctx.Value(id{}) != "request 7" || ctx.Err() != nil {
			t.Errorf("the request is %v, and its context has ended with %v", ctx.Value(id{}), ctx.Err())
		}
		return ratelimit.Unlimited, nil
	})
	wantStatus(t, middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), middleware.Config{}))(hello), call{ctx: ctx}, http.StatusOK)
	if !seen {
		t.Error("nobody was asked")
	}
	store := selfTimed{&heedful{Store: memstore.New(memstore.Config{})}} // gets the context as it is
	h := middleware.Must(middleware.RateLimit(limiterOn(t, store, five, ratelimit.Config{}), quiet(middleware.Config{FailClosed: true})))(hello)
	wantStatus(t, h, call{ctx: ctx}, http.StatusOK)
}

// TestNotWrapped: the handler gets the ResponseWriter and the request as they came.
func TestNotWrapped(t *testing.T) {
	w, r := httptest.NewRecorder(), call{}.request()
	middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(
		http.HandlerFunc(func(gotW http.ResponseWriter, gotR *http.Request) {
			if gotW != http.ResponseWriter(w) || gotR != r {
				t.Error("the handler got something else than what came in")
			}
			if gotW.Header().Get(middleware.HeaderRemaining) != "4" {
				t.Error("the headers are not set when the handler runs")
			}
		})).ServeHTTP(w, r)
}

// TestPanicsPassThrough: a panic of the handler is none of ours.
func TestPanicsPassThrough(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))
	for _, value := range []any{http.ErrAbortHandler, errors.New("some error"), "text"} {
		func() {
			defer func() {
				if got := recover(); got != value {
					t.Errorf("recovered %v, want %v", got, value)
				}
			}()
			call{}.to(h(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(value) })))
		}()
	}
}

// TestManyPolicies: what is kept of one policy is not used for another one, however
// many there are.
func TestManyPolicies(t *testing.T) {
	limits := ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
		n, err := strconv.Atoi(key)
		if err != nil {
			return nil, err
		}
		return ratelimit.NewPolicy(ratelimit.PerHour(n), ratelimit.PerMinute(n).WithBurst(5).Named("k"+key)) // a new one each time
	})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), byKey))(hello)
	for i := range 2500 {
		n := i%1200 + 10
		header := wantStatus(t, h, call{key: strconv.Itoa(n)}, http.StatusOK).Header()
		window, exact, fine := max(1, (5*60+n-1)/n), (5*60_000_000+n-1)/n, ""
		if 20*(window*1_000_000-exact) >= exact {
			fine = fmt.Sprintf(";keyrate-window-us=%d", exact)
		}
		want := fmt.Sprintf(`"k%d";q=5;w=%d%s, "default";q=%d;w=3600`, n, window, fine, n)
		if got := header.Get(middleware.HeaderPolicy); got != want {
			t.Fatalf("policies %s, want %s", got, want)
		}
	}
}

// TestPlansAllocateNothing: many plans allocate no more than one policy does.
func TestPlansAllocateNothing(t *testing.T) {
	plans := map[string]*ratelimit.Policy{}
	var keys []string
	for i := range 50 {
		key := fmt.Sprintf("key-%d", i)
		keys = append(keys, key)
		plans[key] = policy(t, ratelimit.PerSecond(1_000_000+i))
	}
	table, err := ratelimit.NewTable(ratelimit.TableConfig{Default: policy(t, five), Keys: plans})
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

// TestNested: of two middlewares, the response has the headers of one.
func TestNested(t *testing.T) {
	minutely := ratelimit.PerMinute(60).Named("minutely")
	for _, c := range []struct {
		name         string
		outer, inner ratelimit.Limits
		shadow       string
		want         string // the limits that the response names
	}{
		{"inner tighter", minutely, five, "", `"default";q=5;w=1`},
		{"outer tighter", five, minutely, "", `"default";q=5;w=1`},
		{"same room", five.Named("outer"), five.Named("inner"), "", `"outer";q=5;w=1`},
		{"inner exempt", five, ratelimit.Unlimited, "", `"default";q=5;w=1`},
		{"outer exempt", ratelimit.Unlimited, five, "", `"default";q=5;w=1`},
		{"inner in shadow mode", minutely, five, "inner", `"minutely";q=60;w=60`},
		{"outer in shadow mode", five, minutely, "outer", `"minutely";q=60;w=60`},
	} {
		t.Run(c.name, func(t *testing.T) {
			outer := newLimiter(t, c.outer, ratelimit.Config{Shadow: c.shadow == "outer"})
			inner := newLimiter(t, c.inner, ratelimit.Config{Shadow: c.shadow == "inner"})
			h := middleware.Must(middleware.RateLimit(outer, middleware.Config{}))(middleware.Must(middleware.RateLimit(inner, middleware.Config{}))(hello))
			header := wantStatus(t, h, call{}, http.StatusOK).Header()
			if got := header[middleware.HeaderPolicy]; !slices.Equal(got, []string{c.want}) {
				t.Errorf("policies %q, want one line %q", got, c.want)
			}
			for _, name := range []string{middleware.HeaderRateLimit, middleware.HeaderLimit, middleware.HeaderRemaining} {
				if got := header[name]; len(got) != 1 {
					t.Errorf("%s: %q, want one line", name, got)
				}
			}
		})
	}

	t.Run("same limiter", func(t *testing.T) {
		limit := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), quiet(middleware.Config{})))
		header := wantStatus(t, limit(http.HandlerFunc(limit(hello).ServeHTTP)), call{}, http.StatusOK).Header()
		if got := header.Get(middleware.HeaderRemaining); got != "3" {
			t.Errorf("%s remain, want 3: both have charged", got)
		}
		header = wantStatus(t, limit(limit(hello)), call{}, http.StatusOK).Header()
		if got := header.Get(middleware.HeaderRemaining); got != "2" {
			t.Errorf("%s remain, want 2: directly twice is once", got)
		}
	})

	t.Run("headers of somebody else", func(t *testing.T) {
		limit := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(100), ratelimit.Config{}), middleware.Config{}))(hello)
		for _, header := range []http.Header{
			{middleware.HeaderRemaining: {"1"}},
			{middleware.HeaderRemaining: {"1", "1"}, middleware.HeaderRateLimit: {`"a";r=1`}},
			{middleware.HeaderRemaining: {"few"}, middleware.HeaderRateLimit: {`"a";r=1`}},
			{middleware.HeaderRateLimit: {`"a";r=1`}},
		} {
			w := httptest.NewRecorder()
			w.HeaderMap = header //nolint:staticcheck // what an outer middleware did
			limit.ServeHTTP(w, call{}.request())
			if got := w.Header()[middleware.HeaderPolicy]; len(got) != 1 {
				t.Errorf("policies %q, want one line", got)
			}
			if got := w.Header()[middleware.HeaderRemaining]; len(got) != 1 || got[0] == "1" || got[0] == "few" {
				t.Errorf("remaining %q, want ours", got)
			}
		}
	})
}

// TestHeadersAreSeparate: adding to one header does not change another one, though
// their values share an array.
func TestHeadersAreSeparate(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(
		http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for _, name := range middleware.Headers() {
				w.Header().Add(name, "more")
			}
		}))
	header := call{}.to(h).Header()
	for name, want := range map[string]string{
		middleware.HeaderPolicy:    `"default";q=5;w=1`,
		middleware.HeaderRateLimit: `"default";r=4;t=1`,
		middleware.HeaderLimit:     "5",
		middleware.HeaderRemaining: "4",
	} {
		if got := header[name]; !slices.Equal(got, []string{want, "more"}) {
			t.Errorf("%s: %q, want %q and what was added", name, got, want)
		}
	}
}

// TestOuterHeaders: what an outer middleware has said of another body, or of its
// own limit, does not stay on a 429.
func TestOuterHeaders(t *testing.T) {
	limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(hello)
	call{}.to(h)
	w := httptest.NewRecorder()
	for _, name := range []string{"Content-Length", "Content-Type", "Cache-Control", middleware.HeaderReset, middleware.HeaderRetryAfter} {
		w.Header().Set(name, "12345")
	}
	h.ServeHTTP(w, call{}.request())
	for name, values := range w.Header() {
		if len(values) != 1 || values[0] == "12345" {
			t.Errorf("%s: %q", name, values)
		}
	}
}

func TestHeaders(t *testing.T) {
	want := []string{
		middleware.HeaderPolicy, middleware.HeaderRateLimit, middleware.HeaderLimit, middleware.HeaderRemaining,
		middleware.HeaderReset, middleware.HeaderRetryAfter, middleware.HeaderRetryAfterMs,
	}
	if got := middleware.Headers(); !slices.Equal(got, want) {
		t.Errorf("Headers: %q, want %q", got, want)
	}
	for _, name := range want {
		if http.CanonicalHeaderKey(name) != name {
			t.Errorf("%q is not in canonical form", name)
		}
	}
	middleware.Headers()[0] = "changed"
	if middleware.Headers()[0] != want[0] {
		t.Error("the list can be changed by its users")
	}
}
