package redis

import (
	"context"

	"github.com/redis/go-redis/v9"
	ululelimiter "github.com/ulule/limiter/v3"
	ululeredis "github.com/ulule/limiter/v3/drivers/store/redis"
)

type redisUlule struct {
	client  *redis.Client
	limiter *ululelimiter.Limiter
}

// OpenUlule opens ulule/limiter.
func OpenUlule(s Setting) (Limiter, error) {
	client := redis.NewClient(s.options())
	backend, err := ululeredis.NewStore(client)
	if err != nil {
		return nil, err
	}
	return redisUlule{client, ululelimiter.New(backend, ululelimiter.Rate{Period: s.Limit.Per, Limit: int64(s.Limit.Tokens)})}, nil
}

func (u redisUlule) Allow(ctx context.Context, key string) (bool, error) {
	c, err := u.limiter.Get(ctx, key)
	return err == nil && !c.Reached, err
}

func (u redisUlule) Close() error { return u.client.Close() }
