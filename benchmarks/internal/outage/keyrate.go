package outage

import (
	"net/http"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/mirror"
	"github.com/keyrate/keyrate/store/redisstore"
)

func outageKeyrate(address string, to library.Limit, next http.Handler) (http.Handler, error) {
	k, err := mirrored(address, to)
	if err != nil {
		return nil, err
	}
	limit, err := middleware.RateLimit(k.Limiter, middleware.Config{Key: middleware.Header(load.KeyHeader)})
	if err != nil {
		return nil, err
	}
	return limit(next), nil
}

func openMirrored(s redis.Setting) (redis.Limiter, error) { return mirrored(s.Address, s.Limit) }

// mirrored is keyrate on a Redis, with a mirror in front of it.
func mirrored(address string, to library.Limit) (redis.Keyrate, error) {
	client, err := redisstore.NewClient("redis://" + address)
	if err != nil {
		return redis.Keyrate{}, err
	}
	shared, err := redisstore.New(client, redisstore.Config{})
	if err != nil {
		return redis.Keyrate{}, err
	}
	backend, err := mirror.New(shared, mirror.Config{})
	if err != nil {
		return redis.Keyrate{}, err
	}
	l, err := ratelimit.New(backend, ratelimit.Limit{Rate: to.Tokens, Period: to.Per}, ratelimit.Config{})
	return redis.Keyrate{Client: client, Limiter: l}, err
}
