package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// estimate returns a Reserve or a Cost.
func estimate(n int) func(*http.Request) int { return func(*http.Request) int { return n } }

// settling returns what a handler does that settles n.
func settling(t *testing.T, n int, want bool) func(*http.Request) {
	return func(r *http.Request) {
		t.Helper()
		if got := middleware.Settle(r.Context(), n); got != want {
			t.Errorf("Settle of %d returns %v", n, got)
		}
	}
}

// remains returns how many tokens a key has left.
func remains(t *testing.T, l *ratelimit.Limiter, key string) int {
	t.Helper()
	r, err := l.Peek(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return r.State(0).Remaining
}

// served sends the call whatever its handler does.
func (c call) served(h http.Handler) {
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() { _ = recover() }()
		c.to(h)
	})
	wg.Wait()
}

// TestSettle: a request pays what its handler settles, or else its estimate.
func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(*http.Request)
		left int
	}{
		{"less", settling(t, 10, true), 90},
		{"nothing", settling(t, 0, true), 100},
		{"more", settling(t, 70, true), 30},
		{"above the limit", settling(t, 150, true), 0},
		{"never", func(*http.Request) {}, 60},
		{"twice", func(r *http.Request) { settling(t, 5, true)(r); settling(t, 50, false)(r) }, 95},
		{"less than 0", func(r *http.Request) { settling(t, -1, false)(r) }, 60},
		{"less than 0 and then right", func(r *http.Request) { settling(t, -1, false)(r); settling(t, 7, true)(r) }, 93},
		{"panic", func(*http.Request) { panic("boom") }, 60},
		{"abort", func(*http.Request) { panic(http.ErrAbortHandler) }, 60},
		{"exit", func(*http.Request) { runtime.Goexit() }, 60},
		{"panic after settling", func(r *http.Request) { settling(t, 3, true)(r); panic("boom") }, 97},
		{"in a context of its own", func(r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), time.Hour)
			defer cancel()
			settling(t, 2, true)(r.WithContext(ctx))
		}, 98},
	} {
		h, l := behindLimits(t, middleware.Config{Reserve: estimate(40)}, ratelimit.PerDay(100))
		var request *http.Request
		call{}.doing(func(r *http.Request) {
			request = r
			wantHeld(t, l, anyAddress, 40)
			c.does(r)
			wantHeld(t, l, anyAddress, 40) // until the handler has returned
		}).served(h)
		wantHeld(t, l, anyAddress, 0)
		if middleware.Settle(request.Context(), 1) {
			t.Errorf("%s: settled after the handler", c.name)
		}
		if got := remains(t, l, anyAddress); got != c.left {
			t.Errorf("%s: %d are left, want %d", c.name, got, c.left)
		}
	}
}

// TestEstimatesAreHeld: requests in progress leave no room for others than their estimates
// do, and a denial does not know how long they take.
func TestEstimatesAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := behindLimits(t, middleware.Config{Reserve: estimate(40)}, ratelimit.PerMinute(100))
		call{}.during(t, h, 2, func() {
			wantWaits(t, "80 of 100 are held", call{}.waits(t, h, 2), []int{1000, 1000})
		})
		wantWaits(t, "80 of 100 are spent", call{}.waits(t, h, 2), []int{12_000, 36_000})
		time.Sleep(12 * time.Second)
		wantStatus(t, h, call{}.doing(settling(t, 0, true)), http.StatusOK)
	})
}

// TestOverrun: a price above the limit is paid by later requests.
func TestOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, _ := behindLimits(t, middleware.Config{Reserve: estimate(1), DisableQueue: true}, ratelimit.PerMinute(60))
		wantStatus(t, h, call{}.doing(settling(t, 90, true)), http.StatusOK)
		if got := waitOf(t, h, call{}); got != 31_000 {
			t.Errorf("after 90 of 60 the wait is %d ms", got)
		}
	})
}

// TestHeadersAreThoseOfTheAdmission: they report the estimate, whatever the price becomes.
func TestHeadersAreThoseOfTheAdmission(t *testing.T) {
	h, _ := behindLimits(t, middleware.Config{Reserve: estimate(40)}, ratelimit.PerDay(100))
	for _, want := range []string{"60", "59"} {
		w := wantStatus(t, h, call{}.doing(settling(t, 1, true)), http.StatusOK)
		if got := w.Header().Get(middleware.HeaderRemaining); got != want {
			t.Errorf("%s remain, want %s", got, want)
		}
	}
}

// TestNothingToSettle: requests that hold no estimate.
func TestNothingToSettle(t *testing.T) {
	settle := call{}.doing(settling(t, 9, false))
	for name, h := range map[string]http.Handler{
		"no middleware":    working,
		"no Reserve":       middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{}))(working),
		"places alone":     middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.AtOnce(1), ratelimit.Config{}), middleware.Config{}))(working),
		"exempt":           middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}), middleware.Config{Reserve: estimate(1)}))(working),
		"estimate of 0":    middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Reserve: estimate(0)}))(working),
		"store failed":     middleware.Must(middleware.RateLimit(limiterOn(t, &brokenHolder{Store: memstore.New(memstore.Config{}), take: errDown}, five, ratelimit.Config{}), quiet(middleware.Config{Reserve: estimate(1)})))(working),
		"store, in shadow": middleware.Must(middleware.RateLimit(limiterOn(t, &brokenHolder{Store: memstore.New(memstore.Config{}), take: errDown}, five, ratelimit.Config{Shadow: true}), quiet(middleware.Config{Reserve: estimate(1)})))(working),
		"skipped":          middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), middleware.Config{Reserve: estimate(1), Skip: func(*http.Request) bool { return true }}))(working),
	} {
		if wantStatus(t, h, settle, http.StatusOK); t.Failed() {
			t.Fatal(name)
		}
	}
}

// TestReserveInShadow: prices are charged in shadow mode, too.
func TestReserveInShadow(t *testing.T) {
	l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{Shadow: true})
	h := middleware.Must(middleware.RateLimit(l, middleware.Config{Reserve: estimate(60)}))(working)
	wantStatus(t, h, call{}.doing(func(r *http.Request) {
		wantStatus(t, h, call{}.doing(func(*http.Request) {}), http.StatusOK) // would be denied
		settling(t, 10, true)(r)
	}), http.StatusOK)
	if got := remains(t, l, anyAddress); got != 90 {
		t.Errorf("%d are left, want 90", got)
	}
}

// TestReserveBesidePlaces: a request holds its estimate and its place, and pays for one.
func TestReserveBesidePlaces(t *testing.T) {
	h, l := behindLimits(t, middleware.Config{Reserve: estimate(40)}, ratelimit.PerDay(100), ratelimit.AtOnce(1))
	wantStatus(t, h, call{}.doing(func(r *http.Request) {
		wantStatus(t, h, call{}, http.StatusTooManyRequests)
		settling(t, 3, true)(r)
	}), http.StatusOK)
	call{}.during(t, h, 1, func() {})
	if r, err := l.Peek(t.Context(), anyAddress); err != nil || r.State(0).Remaining != 1 || r.State(1).Remaining != 57 {
		t.Errorf("%+v, %+v, %v", r.State(0), r.State(1), err)
	}
}

// TestSettleWhileKept: the price of a connection that outlives its handler is set until its
// last release.
func TestSettleWhileKept(t *testing.T) {
	h, l := behindLimits(t, middleware.Config{Reserve: estimate(40)}, ratelimit.PerDay(100))
	var request *http.Request
	var release func()
	wantStatus(t, h, call{}.doing(func(r *http.Request) { request, release = r, middleware.Keep(r.Context()) }), http.StatusOK)
	wantHeld(t, l, anyAddress, 40)
	if !middleware.Settle(request.Context(), 12) {
		t.Error("it cannot be settled")
	}
	wantHeld(t, l, anyAddress, 40)
	release()
	if got := remains(t, l, anyAddress); got != 88 || middleware.Settle(request.Context(), 1) {
		t.Errorf("%d are left, want 88", got)
	}
}

// TestSettleNested: the innermost middleware that holds an estimate counts.
func TestSettleNested(t *testing.T) {
	outer, inner := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{}), newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
	places := newLimiter(t, ratelimit.AtOnce(1), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(outer, middleware.Config{Reserve: estimate(40)}))(
		middleware.Must(middleware.RateLimit(inner, middleware.Config{Reserve: estimate(30)}))(
			middleware.Must(middleware.RateLimit(places, middleware.Config{}))(working)))
	wantStatus(t, h, call{}.doing(settling(t, 5, true)), http.StatusOK)
	if o, i := remains(t, outer, anyAddress), remains(t, inner, anyAddress); o != 60 || i != 95 {
		t.Errorf("%d and %d are left, want 60 and 95", o, i)
	}
	wantHeld(t, places, anyAddress, 0)
}

// TestReserveByRoute: Route.Cost is the estimate of a route.
func TestReserveByRoute(t *testing.T) {
	limiter := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
	mux := http.NewServeMux()
	mux.Handle("GET /export", working)
	mux.Handle("GET /", working)
	h := routesOf(t, limiter, mux, middleware.Config{Reserve: estimate(10)}, middleware.Route{Pattern: "GET /export", Cost: 50})
	for _, c := range []struct {
		target string
		work   func(*http.Request)
		left   int
	}{
		{"/", func(*http.Request) { wantHeld(t, limiter, anyAddress, 10) }, 90},
		{"/export", func(*http.Request) { wantHeld(t, limiter, anyAddress, 50) }, 40},
		{"/", settling(t, 0, true), 40},
	} {
		r := call{target: c.target}.doing(c.work)
		wantStatus(t, h, r, http.StatusOK)
		if got := remains(t, limiter, anyAddress); got != c.left {
			t.Errorf("%s: %d are left, want %d", c.target, got, c.left)
		}
	}
}

// TestFailedLogins: only failures count against the limit, and those in progress.
func TestFailedLogins(t *testing.T) {
	l := newLimiter(t, ratelimit.PerHour(3), ratelimit.Config{})
	h := middleware.Must(middleware.RateLimit(l, middleware.Config{
		Cost: estimate(1),
		SettleBy: func(status int, _ http.Header) int {
			if status == http.StatusUnauthorized {
				return 1
			}
			return 0
		},
	}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/right" {
			http.Error(w, "wrong password", http.StatusUnauthorized)
		}
	}))
	right, wrong := call{target: "/right"}, call{target: "/wrong"}
	for range 20 {
		wantStatus(t, h, right, http.StatusOK)
	}
	for range 3 {
		wantStatus(t, h, wrong, http.StatusUnauthorized)
	}
	wantStatus(t, h, wrong, http.StatusTooManyRequests)
	wantStatus(t, h, right, http.StatusTooManyRequests)
}

// refunding is a SettleBy that charges no failure of the server, and n for all else.
func refunding(n int) func(int, http.Header) int {
	return func(status int, _ http.Header) int {
		if status >= http.StatusInternalServerError {
			return 0
		}
		return n
	}
}

// answering returns a handler that writes headers with these statuses.
func answering(statuses ...int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for _, status := range statuses {
			w.WriteHeader(status)
		}
	}
}

// TestRefund: a failure of the server is not charged, and a panic is one.
func TestRefund(t *testing.T) {
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		left  int
	}{
		{"200", answering(http.StatusOK), 98},
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, 98},
		{"early hints and 200", answering(http.StatusEarlyHints, http.StatusOK), 98},
		{"500", answering(http.StatusInternalServerError), 100},
		{"early hints and 503", answering(http.StatusEarlyHints, http.StatusServiceUnavailable), 100},
		{"200 and 500", answering(http.StatusOK, http.StatusInternalServerError), 98},
		{"a body and 500", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("x"))
			w.WriteHeader(http.StatusInternalServerError)
		}, 98},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("boom") }, 100},
		{"abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 60},
		{"exit", func(http.ResponseWriter, *http.Request) { runtime.Goexit() }, 100},
		{"200 and a panic", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK); panic("boom") }, 100},
		{"no such status", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(0) }, 100},
		{"settled, and 500", func(w http.ResponseWriter, r *http.Request) {
			settling(t, 7, true)(r)
			w.WriteHeader(http.StatusInternalServerError)
		}, 93},
		{"500, and settled", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			settling(t, 7, true)(r)
		}, 93},
		{"settled, and a panic", func(_ http.ResponseWriter, r *http.Request) { settling(t, 7, true)(r); panic("boom") }, 93},
	} {
		l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(l, middleware.Config{Reserve: estimate(40), SettleBy: refunding(2)}))(c.serve)
		call{}.served(h)
		if got := remains(t, l, anyAddress); got != c.left {
			t.Errorf("%s: %d are left, want %d", c.name, got, c.left)
		}
		wantHeld(t, l, anyAddress, 0)
	}
}

// TestPanicAfterSettleByGoesOn: the panic of a handler is not changed, even if SettleBy panics
// as well.
func TestPanicAfterSettleByGoesOn(t *testing.T) {
	for _, settle := range []func(int, http.Header) int{refunding(1), func(int, http.Header) int { panic("SettleBy") }} {
		h, _ := behindLimits(t, middleware.Config{Reserve: estimate(4), SettleBy: settle}, five)
		func() {
			defer func() {
				if v := recover(); v != http.ErrAbortHandler { //nolint:errorlint // net/http compares so, too
					t.Errorf("recovered %v", v)
				}
			}()
			call{}.doing(func(*http.Request) { panic(http.ErrAbortHandler) }).to(h)
		}()
	}
}

// byScore is a Config with the price in a header that the client does not see.
var byScore = middleware.Config{Key: middleware.Header("X-API-Key"), Reserve: estimate(40), SettleBy: func(_ int, h http.Header) int {
	n, err := strconv.Atoi(h.Get("X-Score"))
	if h.Del("X-Score"); err != nil {
		return 1
	}
	return n
}}

// TestScoreHeader: the application reports the price in a header, which is removed from every
// response, that of an exempt key, too.
func TestScoreHeader(t *testing.T) {
	for name, serve := range map[string]http.HandlerFunc{
		"written":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) },
		"a status":    func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) },
		"flushed":     func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"nothing":     func(http.ResponseWriter, *http.Request) {},
		"and settled": func(_ http.ResponseWriter, r *http.Request) { middleware.Settle(r.Context(), 25) },
	} {
		l := newLimiter(t, ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
			if key == "exempt" {
				return ratelimit.Unlimited, nil
			}
			return ratelimit.NewPolicy(ratelimit.PerDay(100))
		}), ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(l, byScore))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Score", "25")
			w.Header().Set("X-Other", "stays")
			serve(w, r)
		}))
		protocols(t, h, func(t *testing.T, s *httptest.Server) {
			before := remains(t, l, "k")
			for _, key := range []string{"k", "exempt"} {
				header, _, _ := get(t, s, http.MethodGet, key, http.StatusOK)
				if header.Get("X-Score") != "" || header.Get("X-Other") != "stays" {
					t.Errorf("%s: headers %v", name, header)
				}
			}
			if got := before - remains(t, l, "k"); got != 25 {
				t.Errorf("%s: %d are charged, want 25", name, got)
			}
		})
	}
}

// TestFaultsOfPrices: a function that fails does not change that the estimate is charged.
func TestFaultsOfPrices(t *testing.T) {
	boom := func() int { panic("boom") }
	for _, c := range []struct {
		name   string
		config middleware.Config
		does   func(*http.Request)
		class  string
		left   int
	}{
		{name: "Reserve panics", config: middleware.Config{Reserve: func(*http.Request) int { return boom() }}, class: middleware.FaultReservePanic, left: 99},
		{name: "Reserve is negative", config: middleware.Config{Reserve: estimate(-3)}, class: middleware.FaultNegativeReserve, left: 99},
		{name: "Cost panics", config: middleware.Config{Cost: func(*http.Request) int { return boom() }, SettleBy: refunding(2)}, class: middleware.FaultCostPanic, left: 98},
		{name: "SettleBy panics", config: middleware.Config{Reserve: estimate(40), SettleBy: func(int, http.Header) int { return boom() }}, class: middleware.FaultSettleByPanic, left: 60},
		{name: "SettleBy panics, settled", config: middleware.Config{Reserve: estimate(40), SettleBy: func(int, http.Header) int { return boom() }}, does: settling(t, 3, true), class: middleware.FaultSettleByPanic, left: 97},
		{name: "SettleBy is negative", config: middleware.Config{Reserve: estimate(40), SettleBy: func(int, http.Header) int { return -1 }}, class: middleware.FaultNegativePrice, left: 60},
		{name: "Settle is negative", config: middleware.Config{Reserve: estimate(40), SettleBy: refunding(2)}, does: settling(t, -1, false), class: middleware.FaultNegativePrice, left: 98},
	} {
		var r recorder
		l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(l, r.watch(c.config)))(working)
		if c.does == nil {
			c.does = func(*http.Request) {}
		}
		wantStatus(t, h, call{}.doing(c.does), http.StatusOK)
		if got := remains(t, l, anyAddress); got != c.left {
			t.Errorf("%s: %d are left, want %d", c.name, got, c.left)
		}
		if got := r.faults(); !slices.Equal(got, []string{c.class}) {
			t.Errorf("%s: faults %q, want %q", c.name, got, c.class)
		}
	}
}

// TestSettlementFails: a price that the store does not take is a fault after the response.
func TestSettlementFails(t *testing.T) {
	var r recorder
	l := limiterOn(t, &brokenHolder{Store: memstore.New(memstore.Config{}), settle: errDown}, ratelimit.PerDay(100), ratelimit.Config{})
	defer l.Close()
	h := middleware.Must(middleware.RateLimit(l, r.watch(middleware.Config{Reserve: estimate(40), FailClosed: true})))(working)
	wantStatus(t, h, call{}.doing(settling(t, 1, true)), http.StatusOK)
	if got := r.faults(); !slices.Equal(got, []string{"down"}) {
		t.Errorf("faults %q", got)
	}
}

// TestSlowSettlement: a settlement takes no longer than the limiter's timeout, and does not
// end with the request.
func TestSlowSettlement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		l := limiterOn(t, slowHolder{memstore.New(memstore.Config{})}, ratelimit.PerDay(100), ratelimit.Config{Timeout: 300 * time.Millisecond})
		defer l.Close()
		h := middleware.Must(middleware.RateLimit(l, r.watch(middleware.Config{Reserve: estimate(40)})))(working)
		c := call{}.doing(func(*http.Request) {})
		ctx, cancel := context.WithCancel(c.ctx)
		cancel()
		c.ctx = ctx
		start := time.Now()
		wantStatus(t, h, c, http.StatusOK)
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("the request took %v", took)
		}
		if got := r.faults(); !slices.Equal(got, []string{store.ClassTimeout}) {
			t.Errorf("faults %q", got)
		}
	})
}

// A slowHolder settles when the caller gives up. It is not a store in memory to the limiter.
type slowHolder struct{ inner *memstore.Store }

func (s slowHolder) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	return s.inner.Take(ctx, r)
}

func (s slowHolder) Reset(ctx context.Context, r store.Request) error { return s.inner.Reset(ctx, r) }

func (s slowHolder) Holds() bool { return true }

func (s slowHolder) Settle(ctx context.Context, all []store.Settlement) {
	<-ctx.Done()
	for i := range all {
		all[i].Err = ctx.Err()
	}
}
