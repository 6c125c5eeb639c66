package middleware_test

import (
	"context"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

type workKey struct{}

// working is a handler that does what the context of the request says.
var working = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if work, ok := r.Context().Value(workKey{}).(func(*http.Request)); ok {
		work(r)
	}
	hello(w, r)
})

// doing returns the call with what its handler does.
func (c call) doing(work func(*http.Request)) call {
	c.ctx = context.WithValue(context.Background(), workKey{}, work)
	return c
}

// during calls f while n calls are in progress.
func (c call) during(t *testing.T, h http.Handler, n int, f func()) {
	t.Helper()
	if n == 0 {
		f()
		return
	}
	wantStatus(t, h, c.doing(func(*http.Request) { c.during(t, h, n-1, f) }), http.StatusOK)
}

// behindLimits returns a handler that works behind limits, and their limiter.
func behindLimits(t *testing.T, c middleware.Config, limits ...ratelimit.Limit) (http.Handler, *ratelimit.Limiter) {
	t.Helper()
	limiter := newLimiter(t, policy(t, limits...), ratelimit.Config{})
	return middleware.Must(middleware.RateLimit(limiter, quiet(c)))(working), limiter
}

// wantHeld checks what is held in the first limit of a key's policy.
func wantHeld(t *testing.T, l *ratelimit.Limiter, key string, want int) {
	t.Helper()
	r, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.State(0).Held; got != want {
		t.Errorf("%d are held, want %d", got, want)
	}
}

// anyAddress is the key of call{}.
var anyAddress = middleware.AddressKey(call{}.addr())

// TestGoldenConcurrent compares whole responses about limits on concurrent calls with the
// files in testdata.
func TestGoldenConcurrent(t *testing.T) {
	two := ratelimit.AtOnce(2)
	delta := middleware.Config{ResetHeader: middleware.ResetAsDelta}
	for _, g := range []struct {
		name   string
		limits []ratelimit.Limit
		config middleware.Config
		before int // calls that are over
		during int // calls in progress
		call   call
	}{
		{name: "concurrent_allowed", limits: []ratelimit.Limit{two}, during: 1},
		{name: "concurrent_denied", limits: []ratelimit.Limit{two}, during: 2},
		{name: "concurrent_denied_one", limits: []ratelimit.Limit{ratelimit.AtOnce(1).Named("export")}, during: 1},
		{name: "concurrent_denied_head", limits: []ratelimit.Limit{two}, during: 2, call: call{method: "HEAD"}},
		{name: "concurrent_denied_reset", limits: []ratelimit.Limit{two}, during: 2, config: delta},
		{name: "concurrent_denied_period", limits: []ratelimit.Limit{two}, during: 2, config: middleware.Config{LimitHeader: middleware.LimitAsPeriod}},
		{name: "concurrent_beside_rates_allowed", limits: []ratelimit.Limit{two, five, ratelimit.PerHour(4).Named("hourly")}, during: 1, config: delta},
		{name: "concurrent_beside_rates_denied", limits: []ratelimit.Limit{five, ratelimit.PerHour(4).Named("hourly"), two}, during: 2, config: delta},
		{name: "concurrent_beside_rates_period", limits: []ratelimit.Limit{five, two}, during: 2, config: middleware.Config{LimitHeader: middleware.LimitAsPeriod}},
		{name: "concurrent_denied_by_rate", limits: []ratelimit.Limit{two, ratelimit.PerMinute(3)}, before: 2, during: 1},
		{name: "concurrent_denied_by_both", limits: []ratelimit.Limit{two, ratelimit.PerMinute(2)}, during: 2},
		{name: "concurrent_cost_above_burst", limits: []ratelimit.Limit{two, five}, config: middleware.Config{Cost: func(*http.Request) int { return 7 }}},
	} {
		t.Run(g.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, _ := behindLimits(t, g.config, g.limits...)
				for range g.before {
					call{}.to(h)
				}
				call{}.during(t, h, g.during, func() { compare(t, g.name, dump(g.call.to(h))) })
			})
		})
	}
}

// TestPlaceEndsWithTheHandler: however a handler ends, its place is free then.
func TestPlaceEndsWithTheHandler(t *testing.T) {
	for name, end := range map[string]func(*http.Request){
		"returns": func(*http.Request) {},
		"panics":  func(*http.Request) { panic("boom") },
		"aborts":  func(*http.Request) { panic(http.ErrAbortHandler) },
		"exits":   func(*http.Request) { runtime.Goexit() },
	} {
		h, l := behindLimits(t, middleware.Config{}, ratelimit.AtOnce(1))
		c := call{}.doing(func(r *http.Request) {
			wantHeld(t, l, anyAddress, 1)
			wantStatus(t, h, call{}, http.StatusTooManyRequests)
			end(r)
		})
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			c.to(h)
		})
		wg.Wait()
		wantHeld(t, l, anyAddress, 0)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestPanicGoesOn: the panic of a handler is not changed.
func TestPanicGoesOn(t *testing.T) {
	h, _ := behindLimits(t, middleware.Config{}, ratelimit.AtOnce(1))
	for _, value := range []any{http.ErrAbortHandler, "boom"} {
		func() {
			defer func() {
				if v := recover(); v != value {
					t.Errorf("recovered %v, want %v", v, value)
				}
			}()
			call{}.doing(func(*http.Request) { panic(value) }).to(h)
		}()
	}
}

// TestClientIsGone: a place stays taken while the handler of a client that disconnected runs,
// and is free after that.
func TestClientIsGone(t *testing.T) {
	h, l := behindLimits(t, middleware.Config{}, ratelimit.AtOnce(1))
	c := call{}.doing(func(*http.Request) { wantHeld(t, l, anyAddress, 1) })
	var cancel context.CancelFunc
	c.ctx, cancel = context.WithCancel(c.ctx)
	cancel()
	c.to(h)
	wantHeld(t, l, anyAddress, 0)
}

// TestNoPlaceInAQueue: calls in progress end at any time, so clients that they deny do not
// queue. Those of a rate do, beside a limit on concurrent calls as well.
func TestNoPlaceInAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := behindLimits(t, middleware.Config{}, ratelimit.AtOnce(2), five)
		call{}.during(t, h, 2, func() {
			wantWaits(t, "two in progress", call{}.waits(t, h, 3), []int{1000, 1000, 1000})
		})
		time.Sleep(time.Minute)
		for range 5 {
			wantStatus(t, h, call{}, http.StatusOK)
		}
		wantWaits(t, "five before", call{}.waits(t, h, 3), []int{200, 400, 600})
	})
}

// TestNoPlaceBehindHeldTokens: held tokens come back at any time, so clients that they alone
// deny do not queue. Those that wait for what was spent do.
func TestNoPlaceBehindHeldTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		price := 0
		config := middleware.Config{Reserve: func(*http.Request) int { return price }}
		h, limiter := behindLimits(t, config, ratelimit.PerHour(10_000))
		for name, c := range map[string]struct {
			spent, held, price int
			want               []int
		}{
			"would fit beside it in 2520 s":      {7000, 3000, 3000, []int{1000, 1000, 1000}},
			"would fit beside it in 720 ms":      {5000, 2, 5000, []int{720, 720, 720}},
			"does not fit beside it":             {0, 9000, 2000, []int{1000, 1000, 1000}},
			"what was spent takes 360 ms":        {9000, 900, 1001, []int{1000, 1000, 1000}},
			"what was spent takes 36 s":          {9000, 10, 1100, []int{36_000, 432_000, 828_000}},
			"what was spent takes 360 of 720 ms": {9000, 1, 1001, []int{720, 361_080, 721_440}},
		} {
			if err := limiter.Reset(t.Context(), anyAddress); err != nil {
				t.Fatal(err)
			}
			if _, err := limiter.Charge(t.Context(), anyAddress, c.spent); err != nil {
				t.Fatal(err)
			}
			price = c.held
			call{}.during(t, h, 1, func() {
				price = c.price
				wantWaits(t, name, call{}.waits(t, h, 3), c.want)
			})
			time.Sleep(10 * time.Hour)
		}
	})
}

// TestRetryHint: the wait is what the limiter says.
func TestRetryHint(t *testing.T) {
	limiter := newLimiter(t, ratelimit.AtOnce(1), ratelimit.Config{RetryHint: 2500 * time.Millisecond})
	h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(working)
	call{}.during(t, h, 1, func() {
		if got := waitOf(t, h, call{}); got != 2500 {
			t.Errorf("the wait is %d ms", got)
		}
	})
}

// TestRequestsWithoutAPlace: what takes no tokens takes no place either.
func TestRequestsWithoutAPlace(t *testing.T) {
	cors := http.Header{"Origin": {"https://example.com"}, "Access-Control-Request-Method": {"POST"}}
	for _, c := range []struct {
		name   string
		config middleware.Config
		limits ratelimit.Limits
		shadow bool
		call   call
	}{
		{name: "skipped", config: middleware.Config{Skip: func(*http.Request) bool { return true }}},
		{name: "of cost 0", config: middleware.Config{Cost: func(*http.Request) int { return 0 }}},
		{name: "exempt", limits: ratelimit.Unlimited},
		{name: "preflight", call: call{method: "OPTIONS", header: cors}},
	} {
		if c.limits == nil {
			c.limits = ratelimit.AtOnce(1)
		}
		limiter := newLimiter(t, c.limits, ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(limiter, c.config))(working)
		c.call.during(t, h, 3, func() {
			r, err := limiter.Peek(t.Context(), anyAddress)
			if err != nil || !r.Allowed || r.State(0).Held != 0 {
				t.Errorf("%s: %+v, %v", c.name, r.State(0), err)
			}
		})
	}
}

// TestConcurrentShadow: a limit on concurrent calls that is watched counts, and denies nothing.
func TestConcurrentShadow(t *testing.T) {
	for name, limiter := range map[string]*ratelimit.Limiter{
		"limiter":      newLimiter(t, ratelimit.AtOnce(2), ratelimit.Config{Shadow: true}),
		"limit":        newLimiter(t, ratelimit.AtOnce(2).Shadowed(), ratelimit.Config{}),
		"limit beside": newLimiter(t, policy(t, plenty, ratelimit.AtOnce(2).Shadowed()), ratelimit.Config{}),
	} {
		var events []middleware.Event
		h := middleware.Must(middleware.RateLimit(limiter, middleware.Config{
			Observe: func(_ *http.Request, e middleware.Event) { events = append(events, e) },
		}))(working)
		for range 2 {
			events = nil
			call{}.during(t, h, 3, func() {})
			var would []bool
			for _, e := range events {
				would = append(would, e.Result.WouldDeny())
			}
			if !slices.Equal(would, []bool{false, false, true}) {
				t.Errorf("%s: would deny %v, want the third call alone", name, would)
			}
		}
	}
}

// A brokenHolder is a store whose holds cannot be made, or cannot be ended.
type brokenHolder struct {
	*memstore.Store

	take, settle error
	panic        any // of Settle
}

func (s *brokenHolder) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if s.take != nil {
		return store.Decision{}, s.take
	}
	return s.Store.Take(ctx, r)
}

func (s *brokenHolder) Settle(ctx context.Context, all []store.Settlement) {
	if s.panic != nil {
		panic(s.panic)
	}
	if s.settle == nil {
		s.Store.Settle(ctx, all)
		return
	}
	for i := range all {
		all[i].Err = s.settle
	}
}

// TestFaultsOfHolds: a place that cannot be taken is a fault of the decision, one that
// cannot be given back is a fault after the response.
func TestFaultsOfHolds(t *testing.T) {
	for _, c := range []struct {
		name   string
		store  brokenHolder
		closed bool
		status int
		class  string
	}{
		{name: "take", store: brokenHolder{take: errDown}, status: 200, class: "down"},
		{name: "take, closed", store: brokenHolder{take: errDown}, closed: true, status: 503, class: "down"},
		{name: "settle", store: brokenHolder{settle: errDown}, status: 200, class: "down"},
		{name: "settle, closed", store: brokenHolder{settle: errDown}, closed: true, status: 200, class: "down"},
		{name: "settle panics", store: brokenHolder{panic: "boom"}, status: 200, class: store.ClassPanic},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r recorder
			c.store.Store = memstore.New(memstore.Config{})
			limiter := limiterOn(t, &c.store, ratelimit.AtOnce(1), ratelimit.Config{})
			defer limiter.Close()
			h := middleware.Must(middleware.RateLimit(limiter, r.watch(middleware.Config{FailClosed: c.closed})))(working)
			wantStatus(t, h, call{}, c.status)
			if got := r.faults(); !slices.Equal(got, []string{c.class}) {
				t.Errorf("faults %q, want %q", got, c.class)
			}
		})
	}
}

// TestRoutesAtOnce: a route has a limit on concurrent calls of its own, beside a rate without
// a name, too.
func TestRoutesAtOnce(t *testing.T) {
	limiter := newLimiter(t, five, ratelimit.Config{})
	mux := http.NewServeMux()
	mux.Handle("GET /export", working)
	mux.Handle("GET /", working)
	h := routesOf(t, limiter, mux, middleware.Config{}, middleware.Route{
		Pattern: "GET /export", Limits: []ratelimit.Limit{ratelimit.PerHour(100), ratelimit.AtOnce(1)}, Cost: 2,
	})
	export := call{target: "/export"}
	export.during(t, h, 1, func() {
		got := wantStatus(t, h, export, http.StatusTooManyRequests).Header().Get(middleware.HeaderPolicy)
		const want = `"GET /export#concurrent";q=1;qu="concurrent-requests", "default";q=5;w=1, "GET /export";q=100;w=3600`
		if got != want {
			t.Errorf("policies %s\nwant %s", got, want)
		}
		wantStatus(t, h, call{}, http.StatusOK)
	})
	wantStatus(t, h, export, http.StatusOK)
}

// TestConcurrentNested: a request has a place in the limits of both middlewares.
func TestConcurrentNested(t *testing.T) {
	outer, inner := newLimiter(t, ratelimit.AtOnce(3), ratelimit.Config{}), newLimiter(t, ratelimit.AtOnce(2), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(outer, middleware.Config{}))(middleware.Must(middleware.RateLimit(inner, middleware.Config{}))(working))
	call{}.during(t, h, 2, func() {
		w := wantStatus(t, h, call{}, http.StatusTooManyRequests)
		if got := w.Header().Get(middleware.HeaderPolicy); got != `"concurrent";q=2;qu="concurrent-requests"` {
			t.Errorf("policies %s", got)
		}
		wantHeld(t, outer, anyAddress, 2) // the third call had a place while it was denied
		wantHeld(t, inner, anyAddress, 2)
	})
	wantHeld(t, outer, anyAddress, 0)
	wantHeld(t, inner, anyAddress, 0)
}

// TestConcurrentTwice: one middleware twice around a handler takes two places, and is reported.
func TestConcurrentTwice(t *testing.T) {
	var r recorder
	limiter := newLimiter(t, ratelimit.AtOnce(3), ratelimit.Config{})
	limit := middleware.Must(middleware.RateLimit(limiter, r.watch(middleware.Config{})))
	h := limit(http.StripPrefix("/", limit(working)))
	call{}.during(t, h, 1, func() { wantHeld(t, limiter, anyAddress, 2) })
	wantHeld(t, limiter, anyAddress, 0)
	if got := r.faults(); !slices.Equal(got, []string{middleware.FaultChargedTwice}) {
		t.Errorf("faults %q", got)
	}
	h = middleware.Must(middleware.RateLimit(limiter, r.watch(middleware.Config{})))(working)
	call{}.during(t, h, 1, func() { wantHeld(t, limiter, anyAddress, 1) })
}

// TestResultBesideAPlace: the handler gets the decision and the place.
func TestResultBesideAPlace(t *testing.T) {
	h, _ := behindLimits(t, middleware.Config{ResultInContext: true}, ratelimit.AtOnce(4))
	wantStatus(t, h, call{}.doing(func(r *http.Request) {
		result, ok := middleware.ResultFrom(r.Context())
		if !ok || result.Remaining() != 3 {
			t.Errorf("%d remain, %v", result.Remaining(), ok)
		}
	}), http.StatusOK)
}
