package mirror

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit"
)

// Reset implements [ratelimit.Store]. It fills the buckets of the shared store, and drops
// what is known of them here. The other nodes notice within a second. If it returns an
// error, a [*ratelimit.StoreError], the buckets were filled on this node only, and come back
// with the shared store.
func (s *Store) Reset(ctx context.Context, key string, p *ratelimit.Policy) error {
	if err := s.usable(p); err != nil {
		return err
	}
	var err error = errNotReset
	if _, ok := s.breaker.Part(key).Allow(0); ok {
		err = s.asked.Reset(ctx, key, p)
	}
	s.memory.Reset(ctx, key, p)
	if err != nil {
		return failure(err)
	}
	return nil
}
