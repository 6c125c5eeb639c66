package middleware_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// faultCase is something that goes wrong with every call.
type faultCase struct {
	name   string
	class  string
	status int
	store  store.Store      // nil: one that works
	limits ratelimit.Limits // nil: 5/s
	config middleware.Config
	call   call
	before int // calls before it goes wrong
}

func faultCases() []faultCase {
	key := middleware.Header("X-API-Key")
	k := call{key: canary, peer: canaryAddr + ":1"}
	boom := func(r *http.Request) string { panic("boom " + r.Header.Get("X-API-Key")) }
	text := errors.New("redis: " + canaryText + " by " + canaryAddr + " for " + canary)
	limits := func(err error) ratelimit.Limits {
		return ratelimit.LimitsFunc(func(_ context.Context, key string) (*ratelimit.Policy, error) {
			if err == nil {
				panic(key)
			}
			return nil, err
		})
	}
	closed := func(c middleware.Config) middleware.Config {
		c.Key = key
		c.FailClosed = true
		return c
	}
	served := middleware.Config{Key: key}
	return []faultCase{
		{name: "store class", class: "down", status: 200, store: brokenStore{err: &store.Error{Class: "down", Err: text}}, config: served, call: k},
		{name: "store class closed", class: "down", status: 503, store: brokenStore{err: &store.Error{Class: "down", Err: text}}, config: closed(served), call: k},
		{name: "store error", class: store.ClassOther, status: 200, store: brokenStore{err: text}, config: served, call: k},
		{name: "store timeout", class: store.ClassTimeout, status: 200, store: brokenStore{err: fmt.Errorf("%w: %w", text, context.DeadlineExceeded)}, config: served, call: k},
		{name: "store panic", class: store.ClassPanic, status: 200, store: brokenStore{panic: text}, config: served, call: k},
		{name: "self-timed store panic", class: store.ClassPanic, status: 200, store: brokenSelfTimed{brokenStore{panic: text}}, config: served, call: k},
		{name: "self-timed store panic closed", class: store.ClassPanic, status: 503, store: brokenSelfTimed{brokenStore{panic: text}}, config: closed(served), call: k},
		{name: "limits error", class: store.ClassLimits, status: 200, limits: limits(text), config: served, call: k},
		{name: "limits panic", class: store.ClassLimits, status: 503, limits: limits(nil), config: closed(served), call: k},
		{name: "Key panic", class: middleware.FaultKeyPanic, status: 200, config: middleware.Config{Key: keyFunc(boom)}, call: k},
		{name: "Key panic with RequireKey", class: middleware.FaultKeyPanic, status: 200, config: middleware.Config{Key: keyFunc(boom), RequireKey: true}, call: k},
		{name: "Key error", class: middleware.FaultKey, status: 200, config: middleware.Config{Key: middleware.KeyFunc(func(*http.Request) (string, error) { return "", text })}, call: k},
		{name: "Cost panic", class: middleware.FaultCostPanic, status: 200, config: middleware.Config{Key: key, Cost: func(r *http.Request) int { panic(boom(r)) }}, call: k},
		{name: "Cost negative", class: middleware.FaultNegativeCost, status: 200, config: middleware.Config{Key: key, Cost: func(*http.Request) int { return -7 }}, call: k},
		{name: "Reserve panic", class: middleware.FaultReservePanic, status: 200, config: middleware.Config{Key: key, Reserve: func(r *http.Request) int { panic(boom(r)) }}, call: k},
		{name: "Reserve negative", class: middleware.FaultNegativeReserve, status: 200, config: middleware.Config{Key: key, Reserve: func(*http.Request) int { return -7 }}, call: k},
		{name: "SettleBy panic", class: middleware.FaultSettleByPanic, status: 200, call: k,
			config: middleware.Config{Key: key, Reserve: func(*http.Request) int { return 1 }, SettleBy: func(int, http.Header) int { panic(canary + canaryText) }}},
		{name: "SettleBy negative", class: middleware.FaultNegativePrice, status: 200, call: k,
			config: middleware.Config{Key: key, Reserve: func(*http.Request) int { return 1 }, SettleBy: func(int, http.Header) int { return -7 }}},
		{name: "settlement", class: "down", status: 200, store: &brokenHolder{Store: memstore.New(memstore.Config{}), settle: &store.Error{Class: "down", Err: text}},
			config: middleware.Config{Key: key, Reserve: func(*http.Request) int { return 1 }}, call: k},
		{name: "settlement panic", class: store.ClassPanic, status: 200, store: &brokenHolder{Store: memstore.New(memstore.Config{}), panic: text},
			config: middleware.Config{Key: key, Reserve: func(*http.Request) int { return 1 }}, call: k},
		{name: "Skip panic", class: middleware.FaultSkipPanic, status: 200, config: middleware.Config{Key: key, Skip: func(r *http.Request) bool { panic(boom(r)) }}, call: k},
		{name: "Denied panic", class: middleware.FaultDeniedPanic, status: 429, before: 5, call: k,
			config: middleware.Config{Key: key, Denied: func(_ http.ResponseWriter, r *http.Request, _ ratelimit.Result) { boom(r) }}},
		{name: "Denied aborts", class: middleware.FaultDeniedPanic, status: 429, before: 5, call: k,
			config: middleware.Config{Key: key, Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) { panic(http.ErrAbortHandler) }}},
		{name: "Denied silent", class: middleware.FaultDeniedSilent, status: 429, before: 5, call: k,
			config: middleware.Config{Key: key, Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) {}}},
		{name: "Denied panic after writing", class: middleware.FaultDeniedPanic, status: 420, before: 5, call: k,
			config: middleware.Config{Key: key, Denied: func(w http.ResponseWriter, r *http.Request, _ ratelimit.Result) {
				w.WriteHeader(420)
				boom(r)
			}}},
	}
}

func (c faultCase) handler(t testing.TB, r *recorder) http.Handler {
	if c.limits == nil {
		c.limits = five
	}
	limiter := newLimiter(t, c.limits, ratelimit.Config{})
	if c.store != nil {
		limiter = limiterOn(t, c.store, c.limits, ratelimit.Config{})
	}
	return middleware.Must(middleware.RateLimit(limiter, r.watch(c.config)))(hello)
}

// TestFaults: each fault is answered as promised, counted in exactly one class, and
// logged with that class.
func TestFaults(t *testing.T) {
	for _, c := range faultCases() {
		t.Run(c.name, func(t *testing.T) {
			var r recorder
			h := c.handler(t, &r)
			for range c.before {
				wantStatus(t, h, c.call, http.StatusOK)
			}
			if n := len(r.faults()); n > 0 {
				t.Fatalf("%d faults before anything went wrong", n)
			}
			wantStatus(t, h, c.call, c.status)
			if got := r.faults(); !slices.Equal(got, []string{c.class}) {
				t.Errorf("faults %q, want one: %q", got, c.class)
			}
			if log := r.log(); r.logged() != 1 || !strings.Contains(log, "level=ERROR") || !strings.Contains(log, "class="+c.class+" ") {
				t.Errorf("log %q, want one line with class=%s", log, c.class)
			}
		})
	}
}

// TestPanickingFunctionsLimit: a call whose function panicked is limited all the
// same.
func TestPanickingFunctionsLimit(t *testing.T) {
	for _, c := range faultCases() {
		if !strings.HasPrefix(c.name, "Key") && !strings.HasPrefix(c.name, "Cost") && !strings.HasPrefix(c.name, "Reserve") && !strings.HasPrefix(c.name, "SettleBy") && !strings.HasPrefix(c.name, "Skip") {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if n := c.call.exhaust(t, c.handler(t, new(recorder))); n != 5 {
					t.Errorf("%d calls admitted, want 5", n)
				}
			})
		})
	}
}

// TestLogRate: an outage is a line a second, and no fault is lost from the count.
func TestLogRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r recorder
		limit := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), r.watch(middleware.Config{})))
		one, two := limit(hello), limit(hello) // handlers of one middleware share its log
		for range 3000 {
			wantStatus(t, one, call{}, http.StatusOK)
			wantStatus(t, two, call{}, http.StatusOK)
			time.Sleep(time.Millisecond)
		}
		if n := len(r.faults()); n != 6000 {
			t.Errorf("%d faults were reported, want 6000", n)
		}
		var suppressed []string
		for line := range strings.Lines(r.log()) {
			_, n, _ := strings.Cut(strings.TrimSpace(line), "suppressed=")
			suppressed = append(suppressed, n)
		}
		if want := []string{"0", "1999", "1999"}; !slices.Equal(suppressed, want) {
			t.Errorf("lines with suppressed = %q, want %q", suppressed, want)
		}
	})
}

// TestHooksThatPanic: neither OnFault nor the log can bring a request down.
func TestHooksThatPanic(t *testing.T) {
	var r recorder
	for _, config := range []middleware.Config{
		{OnFault: func(context.Context, string) { panic("hook") }, Logger: r.watch(middleware.Config{}).Logger},
		{OnFault: r.fault, Logger: slog.New(panickingLog{})},
	} {
		h := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), config))(hello)
		wantStatus(t, h, call{}, http.StatusOK)
	}
	if len(r.faults()) != 1 || r.logged() != 1 {
		t.Errorf("%d faults, %d lines; want 1 each: one hook's panic is not the other's", len(r.faults()), r.logged())
	}
}

type panickingLog struct{ slog.Handler }

func (panickingLog) Enabled(context.Context, slog.Level) bool { panic("log") }

// TestDefaultLogger: without a Logger, faults are in the default log, whichever
// that is by then.
func TestDefaultLogger(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), middleware.Config{}))(hello)
	var r recorder
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&r, nil)))
	call{}.to(h)
	if r.logged() != 1 {
		t.Errorf("%d lines in the default log, want 1", r.logged())
	}
}

// TestFaultContext: the hook gets the context of the request.
func TestFaultContext(t *testing.T) {
	type id struct{}
	var got any
	h := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), quiet(middleware.Config{
		OnFault: func(ctx context.Context, _ string) { got = ctx.Value(id{}) },
	})))(hello)
	call{ctx: context.WithValue(t.Context(), id{}, "request 7")}.to(h)
	if got != "request 7" {
		t.Errorf("the hook's context holds %v", got)
	}
}

func TestFaultClassesAreFew(t *testing.T) {
	var r recorder
	h := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), r.watch(middleware.Config{
		Key: keyFunc(func(r *http.Request) string {
			if len(r.URL.Path)%2 == 0 {
				panic(r.URL.Path)
			}
			return r.URL.Path
		}),
	})))(hello)
	w, q := &sink{header: http.Header{}}, call{}.request()
	calls := testkit.Count(10_000, 100_000)
	for i := range calls {
		q.URL.Path = fmt.Sprint("/", i)
		w.reset()
		h.ServeHTTP(w, q)
	}
	classes := map[string]int{}
	for _, class := range r.faults() {
		classes[class]++
	}
	if len(classes) != 2 || classes["down"] != calls {
		t.Errorf("classes %v, want 2 of them", classes)
	}
}

// TestFailOpenIsReported: while the store fails, calls pass and each is reported.
func TestFailOpenIsReported(t *testing.T) {
	var r recorder
	var events []ratelimit.Event
	limiter := limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{
		Observe: func(_ context.Context, e ratelimit.Event) { events = append(events, e) },
	})
	h := middleware.Must(middleware.RateLimit(limiter, r.watch(middleware.Config{})))(hello)
	for range 100 {
		wantNoHeaders(t, wantStatus(t, h, call{}, http.StatusOK).Header())
	}
	if len(events) != 100 || len(r.faults()) != 100 || r.logged() < 1 || r.logged() > 3 {
		t.Errorf("%d events, %d faults, %d lines; want 100, 100, and at least one", len(events), len(r.faults()), r.logged())
	}
	for _, e := range events {
		if store.ErrorClass(e.Err) != "down" {
			t.Fatalf("event %+v", e)
		}
	}
	if !bytes.Contains([]byte(r.log()), []byte("served without a limit")) {
		t.Errorf("log %q", r.log())
	}
}

// TestFunctionsThatEndTheGoroutine: runtime.Goexit in a function of the user is
// no way past the limit, and does not disturb other calls.
func TestFunctionsThatEndTheGoroutine(t *testing.T) {
	for name, config := range map[string]middleware.Config{
		"Key":    {Key: keyFunc(func(*http.Request) string { runtime.Goexit(); return "" })},
		"Cost":   {Cost: func(*http.Request) int { runtime.Goexit(); return 0 }},
		"Skip":   {Skip: func(*http.Request) bool { runtime.Goexit(); return false }},
		"Denied": {Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) { runtime.Goexit() }},
	} {
		served := 0
		limiter := newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(limiter, quiet(config)))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
		for range 3 {
			var wg sync.WaitGroup
			wg.Go(func() { call{}.to(h) })
			wg.Wait()
		}
		if served > 1 {
			t.Errorf("%s: %d calls served at 1/h", name, served)
		}
		if n := (call{}).exhaust(t, middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(hello)); n != 1-served {
			t.Errorf("%s: %d calls served after %d, want 1 in all", name, n, served)
		}
	}
}

// chainError is an error that wraps another one, if it is not nil itself.
type chainError struct{ inner error }

func (*chainError) Error() string { return "the look-up failed" }

func (e *chainError) Unwrap() error { return e.inner }

// TestFaultWithABrokenChain: an error that panics when it is asked what it wraps
// does not bring the request down. It is a fault like any other.
func TestFaultWithABrokenChain(t *testing.T) {
	limits := ratelimit.LimitsFunc(func(context.Context, string) (*ratelimit.Policy, error) { return nil, (*chainError)(nil) })
	for closed, status := range map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable} {
		var r recorder
		h := middleware.Must(middleware.RateLimit(newLimiter(t, limits, ratelimit.Config{}), r.watch(middleware.Config{FailClosed: closed})))(hello)
		wantStatus(t, h, call{}, status)
		if got := r.faults(); !slices.Equal(got, []string{store.ClassPanic}) || r.logged() != 1 {
			t.Errorf("faults %q, log %q; want one: %q", got, r.log(), store.ClassPanic)
		}
	}
}
