package redis

import (
	"context"
	"errors"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/lease"
)

// keyrateLeases is keyrate on Redis, with leases in front of it.
type keyrateLeases struct {
	Keyrate

	leases *lease.Store
}

func openLeases(s Setting) (Limiter, error) {
	shared, client, err := newShared(s)
	if err != nil {
		return nil, err
	}
	leases, err := lease.New(shared, lease.Config{})
	if err != nil {
		return nil, err
	}
	l, err := ratelimit.New(leases, ratelimit.Limit{Rate: s.Limit.Tokens, Period: s.Limit.Per}, ratelimit.Config{Timeout: patience})
	return keyrateLeases{Keyrate{client, l}, leases}, err
}

// Close gives back what is leased, and closes the client.
func (k keyrateLeases) Close() error { return errors.Join(k.leases.Close(), k.Keyrate.Close()) }

// loopAlone decides nothing and never waits: what is measured is the loop of the callers.
type loopAlone struct{}

func openLoop(Setting) (Limiter, error) { return loopAlone{}, nil }

func (loopAlone) Allow(context.Context, string) (bool, error) { return true, nil }

func (loopAlone) Close() error { return nil }
