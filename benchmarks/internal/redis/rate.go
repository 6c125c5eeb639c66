package redis

import (
	"context"

	"github.com/go-redis/redis_rate/v10"
	"github.com/redis/go-redis/v9"
)

type redisRate struct {
	client  *redis.Client
	limiter *redis_rate.Limiter
	limit   redis_rate.Limit
}

// OpenRate opens redis_rate.
func OpenRate(s Setting) (Limiter, error) {
	client := redis.NewClient(s.options())
	return newRedisRate(s, client, redis_rate.NewLimiter(client)), nil
}

// openAutoPipeline has go-redis gather the calls of redis_rate into pipelines, on
// connections that it keeps for them. Without options it is as its documentation
// shows it.
func openAutoPipeline(batches *redis.AutoPipelineOptions) func(Setting) (Limiter, error) {
	return func(s Setting) (Limiter, error) {
		s.Pool = 0 // callers do not use them
		client := redis.NewClient(s.options())
		pipeliner, err := client.AutoPipelineWithOptions(batches) // nil: the defaults
		if err != nil {
			return nil, err
		}
		return newRedisRate(s, client, redis_rate.NewLimiter(pipeliner)), nil
	}
}

func newRedisRate(s Setting, client *redis.Client, l *redis_rate.Limiter) redisRate {
	return redisRate{client, l, redis_rate.Limit{Rate: s.Limit.Tokens, Burst: s.Limit.Tokens, Period: s.Limit.Per}}
}

func (r redisRate) Allow(ctx context.Context, key string) (bool, error) {
	result, err := r.limiter.Allow(ctx, key, r.limit)
	if err != nil {
		return false, err
	}
	return result.Allowed == 1, nil
}

func (r redisRate) Close() error { return r.client.Close() }
