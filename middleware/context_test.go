package middleware_test

import (
	"context"
	"net/http"
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
