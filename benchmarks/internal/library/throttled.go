package library

import (
	"context"
	"net/http"

	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/memstore"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

type throttledLimiter struct{ limiter *throttled.GCRARateLimiterCtx }

func newThrottled(s Setting) (Limiter, error) {
	l, err := throttledGCRA(s)
	return throttledLimiter{l}, err
}

func (t throttledLimiter) Allow(key string) bool {
	limited, _, err := t.limiter.RateLimitCtx(context.Background(), key, 1)
	return err == nil && !limited
}

// throttledGCRA keeps the keys in a plain map, which is its quickest store and
// never forgets a key; where keys are to be forgotten, in its LRU of Keys keys.
func throttledGCRA(s Setting) (*throttled.GCRARateLimiterCtx, error) {
	keys := 0
	if s.Forget > 0 {
		keys = s.Keys
	}
	store, err := memstore.NewCtx(keys)
	if err != nil {
		return nil, err
	}
	return ThrottledOn(store, s.Limit)
}

// ThrottledAsShown is the limiter of its documentation.
func ThrottledAsShown(store throttled.GCRAStoreCtx, to Limit) (*throttled.GCRARateLimiterCtx, error) {
	return throttled.NewGCRARateLimiterCtx(store, throttled.RateQuota{
		MaxRate:  throttled.PerDuration(to.Tokens, to.Per),
		MaxBurst: to.Tokens - 1,
	})
}

// ThrottledOn is ThrottledAsShown with more attempts.
func ThrottledOn(store throttled.GCRAStoreCtx, to Limit) (*throttled.GCRARateLimiterCtx, error) {
	l, err := ThrottledAsShown(store, to)
	if err != nil {
		return nil, err
	}
	// With the 10 attempts that are its default, two cores on one key get errors
	// instead of answers for one call in fifty.
	l.SetMaxCASAttemptsLimit(10_000)
	return l, nil
}

// ThrottledKey limits requests by their key.
type ThrottledKey struct{}

// Key returns the key of a request.
func (ThrottledKey) Key(r *http.Request) string { return r.Header.Get(load.KeyHeader) }

func throttledHandler(s Setting, next http.Handler) (http.Handler, error) {
	l, err := throttledGCRA(s)
	if err != nil {
		return nil, err
	}
	m := throttled.HTTPRateLimiterCtx{RateLimiter: l, VaryBy: ThrottledKey{}}
	return m.RateLimit(next), nil
}
