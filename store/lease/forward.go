package lease

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/metrics"
	"github.com/keyrate/keyrate/store"
)

// Reset implements [store.Store]. It ends the leases of the key on this node; those of other nodes
// end within a second, and may exceed the limit by half a burst until then. What was spent before
// the reset is not charged after it.
func (s *Store) Reset(ctx context.Context, r store.Request) error {
	if s.shared == nil {
		return errZero
	}
	s.drop(&r)
	defer s.drop(&r) // what was leased meanwhile may be from before the reset
	return s.asked.Reset(ctx, r)
}

// drop ends the leases that have a bucket in common with the limits of r.
func (s *Store) drop(r *store.Request) {
	if s.table.used.Load() == 0 {
		return
	}
	shared := false
	for i := range r.Limits {
		shared = shared || r.Limits[i].Shared
	}
	s.table.each(func(e *entry) {
		if e.home == r.Home && (shared || e.key == r.Key) {
			e.drop()
		}
	})
}

// Holds implements [store.Holder].
func (s *Store) Holds() bool { return store.CanHold(s.shared) }

// Settle implements [store.Holder].
func (s *Store) Settle(ctx context.Context, all []store.Settlement) {
	holder, ok := s.asked.(store.Holder)
	if !ok {
		for i := range all {
			all[i].Err = errZero
		}
		return
	}
	holder.Settle(ctx, all)
}

// Partition implements [store.Partitioned], by the shared store.
func (s *Store) Partition(home, key string) string {
	if p, ok := s.shared.(store.Partitioned); ok {
		return p.Partition(home, key)
	}
	return ""
}

// Check implements [store.Checker]: it returns the health of the shared store.
func (s *Store) Check(ctx context.Context) store.Health {
	if s.shared == nil {
		return store.Health{Status: store.StatusFailed}
	}
	return store.Check(ctx, s.shared, store.DefaultTimeout)
}

// Measure implements [metrics.Source]: it adds what the shared store shows.
func (s *Store) Measure(r *metrics.Reading) {
	if source, ok := s.shared.(metrics.Source); ok && r.First(s) {
		source.Measure(r)
	}
}
