package redis

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/redisstore"
)

type Keyrate struct {
	Client  redis.UniversalClient
	Limiter *ratelimit.Limiter
}

// openKeyrate uses the client that the package makes, with its few connections.
func openKeyrate(s Setting) (Limiter, error) {
	url := "redis://" + s.Address
	if s.Network == "unix" {
		url = "unix://" + s.Address
	}
	client, err := redisstore.NewClient(url)
	if err != nil {
		return nil, err
	}
	backend, err := redisstore.New(client, redisstore.Config{})
	if err != nil {
		return nil, err
	}
	policy, err := ratelimit.NewPolicy(ratelimit.Limit{Rate: s.Limit.Tokens, Period: s.Limit.Per})
	if err != nil {
		return nil, err
	}
	l, err := ratelimit.New(backend, policy, ratelimit.Config{})
	return Keyrate{client, l}, err
}

func (k Keyrate) Allow(ctx context.Context, key string) (bool, error) {
	result, err := k.Limiter.Allow(ctx, key)
	return result.Allowed, err
}

func (k Keyrate) Close() error { return k.Client.Close() }
