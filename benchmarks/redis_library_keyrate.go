package main

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/redisstore"
)

type redisKeyrate struct {
	client  redis.UniversalClient
	limiter *ratelimit.Limiter
}

// openKeyrate uses the client that the package makes, with its few connections.
func openKeyrate(s redisSetting) (redisLimiter, error) {
	url := "redis://" + s.Address
	if s.Network == "unix" {
		url = "unix://" + s.Address
	}
	client, err := redisstore.NewClient(url)
	if err != nil {
		return nil, err
	}
	store, err := redisstore.New(client, redisstore.Config{})
	if err != nil {
		return nil, err
	}
	policy, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: s.Limit.Tokens, Period: s.Limit.Per})
	if err != nil {
		return nil, err
	}
	l, err := ratelimit.New(store, policy, ratelimit.Config{})
	return redisKeyrate{client, l}, err
}

func (k redisKeyrate) Allow(ctx context.Context, key string) (bool, error) {
	result, err := k.limiter.Allow(ctx, key)
	return result.Allowed, err
}

func (k redisKeyrate) Close() error { return k.client.Close() }
