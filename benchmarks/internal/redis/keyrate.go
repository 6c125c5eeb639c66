package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/redisstore"
)

// patience is how long a decision may take: as long as the other libraries wait, so that a machine
// that is late makes no errors.
const patience = 3 * time.Second

// Keyrate is keyrate on Redis.
type Keyrate struct {
	Client  redis.UniversalClient
	Limiter *ratelimit.Limiter
}

// openKeyrate is the shared store alone.
func openKeyrate(s Setting) (Limiter, error) {
	backend, client, err := newShared(s)
	if err != nil {
		return nil, err
	}
	l, err := ratelimit.New(backend, ratelimit.Limit{Rate: s.Limit.Tokens, Period: s.Limit.Per}, ratelimit.Config{Timeout: patience})
	return Keyrate{client, l}, err
}

// newShared uses the client that redisstore makes, with its few connections.
func newShared(s Setting) (*redisstore.Store, redis.UniversalClient, error) {
	url := "redis://" + s.Address
	if s.Network == "unix" {
		url = "unix://" + s.Address
	}
	client, err := redisstore.NewClient(url + "?timeout=" + patience.String())
	if err != nil {
		return nil, nil, err
	}
	shared, err := redisstore.New(client, redisstore.Config{})
	return shared, client, err
}

// Allow takes one token.
func (k Keyrate) Allow(ctx context.Context, key string) (bool, error) {
	result, err := k.Limiter.Allow(ctx, key)
	return result.Allowed, err
}

// Close closes the client.
func (k Keyrate) Close() error { return k.Client.Close() }
