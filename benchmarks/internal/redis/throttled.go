package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
	"github.com/throttled/throttled/v2"
	"github.com/throttled/throttled/v2/store/goredisstore.v9"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

type redisThrottled struct {
	client  *redis.Client
	limiter *throttled.GCRARateLimiterCtx
}

// OpenThrottled opens throttled, with as many attempts as many callers on one key need.
func OpenThrottled(s Setting) (Limiter, error) {
	client := redis.NewClient(s.options())
	backend, err := goredisstore.NewCtx(client, "throttled:")
	if err != nil {
		return nil, err
	}
	l, err := library.ThrottledOn(backend, s.Limit)
	if err != nil {
		return nil, err
	}
	// Many callers on one key need more attempts, or get errors instead of answers.
	l.SetMaxCASAttemptsLimit(100_000)
	return redisThrottled{client, l}, nil
}

func (t redisThrottled) Allow(ctx context.Context, key string) (bool, error) {
	limited, _, err := t.limiter.RateLimitCtx(ctx, key, 1)
	return err == nil && !limited, err
}

func (t redisThrottled) Close() error { return t.client.Close() }
