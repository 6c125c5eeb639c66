package mirror

import (
	"context"
	"errors"

	"github.com/keyrate/keyrate/ratelimit"
)

// ClassAway is the class of what could not reach the shared store, which is known to be
// away.
const ClassAway = "away"

var (
	errAway  = errors.New("mirror: the shared store is away")
	errReset = errors.New("mirror: the shared store is away; the key's buckets were filled on this node only")
)

// Reset implements [ratelimit.Store]. It fills the buckets of the shared store, and
// drops what is known of them here; the other nodes notice within a second. The error
// is a [*ratelimit.StoreError]: the buckets were filled on this node only, and come back
// with the shared store.
func (s *Store) Reset(ctx context.Context, key string, p *ratelimit.Policy) error {
	if err := s.usable(p); err != nil {
		return err
	}
	err := error(&ratelimit.StoreError{Class: ClassAway, Err: errReset})
	if _, away := s.parts.of(key).now(); !away {
		err = s.asked.Reset(ctx, key, p)
	}
	s.memory.forget(s.memory.hash(key), p, s.now())
	// It never fails.
	_ = s.local.Reset(ctx, key, s.shares.share(p, s.nodes))
	if err != nil {
		return failure(err)
	}
	return nil
}

// Close ends the goroutines that look for the shared store, if there are any, and
// returns when they have ended: close the server first. Decisions go on: without the
// shared store if it was away, and otherwise by it, and nobody notices any more that it
// goes away. It returns nil, always, and may be called again. OnChange must not call it.
func (s *Store) Close() error {
	s.parts.end()
	return nil
}
