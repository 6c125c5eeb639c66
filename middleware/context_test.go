package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func TestResultInContext(t *testing.T) {
	var got ratelimit.Result
	var ok bool
	look := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, ok = middleware.ResultFrom(r.Context()) })
	limiter := newLimiter(t, five, ratelimit.Config{})
	call{}.to(middleware.Must(middleware.RateLimit(limiter, middleware.Config{}))(look))
	if ok {
		t.Error("there is a result without ResultInContext")
	}
	on := middleware.Config{ResultInContext: true}
	call{}.to(middleware.Must(middleware.RateLimit(limiter, on))(look))
	if !ok || got.Remaining() != 3 || got.Limit() != five.WithBurst(5).Named("default") {
		t.Errorf("result %+v, %v; want 3 of 5 remaining", got, ok)
	}
	inner := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
	call{}.to(middleware.Must(middleware.RateLimit(limiter, on))(middleware.Must(middleware.RateLimit(inner, on))(look)))
	if !ok || got.Remaining() != 99 {
		t.Errorf("result %+v, %v; want the innermost", got, ok)
	}
	call{}.to(middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{Shadow: true}), on))(look))
	if !ok || !got.Shadow() {
		t.Errorf("result %+v, %v; want one in shadow mode, too", got, ok)
	}
	call{}.to(middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}), on))(look))
	if !ok || got.Policy() != ratelimit.Unlimited {
		t.Errorf("result %+v, %v; want one for an exempt key, too", got, ok)
	}
	call{}.to(middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), quiet(on)))(look))
	if ok {
		t.Errorf("result %+v, though nothing was decided", got)
	}
}

// TestDecisionContext: the limiter gets the values of the request's context, but not
// its end: see TestServerRapidReset.
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
		t.Error("the limits were not looked up")
	}
	backend := selfTimed{&heedful{Store: memstore.New(memstore.Config{})}} // gets the context as it is
	h := middleware.Must(middleware.RateLimit(limiterOn(t, backend, five, ratelimit.Config{}), quiet(middleware.Config{FailClosed: true})))(hello)
	wantStatus(t, h, call{ctx: ctx}, http.StatusOK)
}

// TestKeyFrom: a handler learns the key only if ResultInContext is set, and even if nothing
// could be decided about it.
func TestKeyFrom(t *testing.T) {
	var key string
	var ok bool
	var printed string
	look := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		key, ok = middleware.KeyFrom(r.Context())
		child, cancel := context.WithCancel(r.Context())
		defer cancel()
		printed = fmt.Sprintf("%v %+v %#v %s %v", r.Context(), r.Context(), r.Context(), r.Context(), child)
	})
	on := middleware.Config{Key: middleware.Header("X-API-Key"), ResultInContext: true}
	skipping, requiring := on, on
	skipping.Skip = func(*http.Request) bool { return true }
	requiring.RequireKey = true
	long := strings.Repeat("k", 1000)
	five := newLimiter(t, five, ratelimit.Config{})
	for _, c := range []struct {
		name    string
		limiter *ratelimit.Limiter
		config  middleware.Config
		call    call
		want    string
	}{
		{"not asked for", five, byKey, call{key: canary}, ""},
		{"a key", five, on, call{key: canary}, canary},
		{"an address", five, on, call{}, middleware.AddressKey(call{}.addr())},
		{"a long key", five, on, call{key: long}, middleware.BucketKey(long)},
		{"exempt", newLimiter(t, ratelimit.Unlimited, ratelimit.Config{}), on, call{key: "a"}, "a"},
		{"not decided", limiterOn(t, brokenStore{err: errDown}, ratelimit.PerSecond(5), ratelimit.Config{}), on, call{key: "a"}, "a"},
		{"skipped", five, skipping, call{key: "a"}, ""},
		{"no key in shadow mode", newLimiter(t, ratelimit.PerSecond(5), ratelimit.Config{Shadow: true}), requiring, call{}, ""},
	} {
		key, ok = "", false
		wantStatus(t, middleware.Must(middleware.RateLimit(c.limiter, quiet(c.config)))(look), c.call, http.StatusOK)
		if key != c.want || ok != (c.want != "") {
			t.Errorf("%s: key %q, %v; want %q", c.name, key, ok, c.want)
		}
		wantAbsent(t, printed, canary)
	}
	byAddress := middleware.Config{ResultInContext: true}
	outer := middleware.Must(middleware.RateLimit(five, on))
	inner := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerDay(9), ratelimit.Config{}), byAddress))
	call{key: "a"}.to(outer(inner(look)))
	if !middleware.IsAddressKey(key) {
		t.Errorf("key %q, want that of the innermost", key)
	}
}

// TestResultOfTheOuter: a middleware that decided nothing does not hide the decision of another.
func TestResultOfTheOuter(t *testing.T) {
	on := quiet(middleware.Config{ResultInContext: true})
	outer := middleware.Must(middleware.RateLimit(newLimiter(t, five, ratelimit.Config{}), on))
	inner := middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), on))
	wantStatus(t, outer(inner(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if got, ok := middleware.ResultFrom(r.Context()); !ok || got.Remaining() != 4 {
			t.Errorf("result %+v, %v; want that of the outer", got, ok)
		}
	}))), call{}, http.StatusOK)
}
