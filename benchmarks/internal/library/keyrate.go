package library

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

type keyrate struct {
	limiter *ratelimit.Limiter
	half    int // of a key's tokens
}

func newKeyrate(s Setting) (Limiter, error) {
	l, err := keyrateLimiter(s)
	return keyrate{l, s.Limit.Tokens / 2}, err
}

func (k keyrate) Allow(key string) bool {
	result, err := k.limiter.Allow(context.Background(), key)
	return err == nil && result.Allowed
}

func (k keyrate) Prime(key string) error {
	_, err := k.limiter.AllowN(context.Background(), key, k.half)
	return err
}

func keyrateLimiter(s Setting) (*ratelimit.Limiter, error) {
	limits := []ratelimit.Limit{{Rate: s.Limit.Tokens, Period: s.Limit.Per}}
	if s.Two {
		limits = append(limits, ratelimit.Limit{Name: "second", Rate: s.Limit.Tokens, Period: 2 * s.Limit.Per})
	}
	policy, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		return nil, err
	}
	backend := memstore.New(memstore.Config{MaxKeys: s.Keys * len(limits)})
	return ratelimit.New(backend, policy, ratelimit.Config{})
}
