package redis

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/redisstore"
)

// Keyrate is keyrate on Redis.
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

// Allow takes one token.
func (k Keyrate) Allow(ctx context.Context, key string) (bool, error) {
	result, err := k.Limiter.Allow(ctx, key)
	return result.Allowed, err
}

// Close closes the client.
func (k Keyrate) Close() error { return k.Client.Close() }
