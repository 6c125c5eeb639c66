package memstore

import (
	"context"
	"math/bits"
	"testing"

	"github.com/keyrate/keyrate/store"
)

// A manual is a store with a clock that the test moves.
type manual struct {
	*Store
	now int64 // in microseconds
}

// newManual divides the table as seldom as can be: each shard has a clock of its own,
// and the models in the tests have one. TestNew checks what New does.
func newManual(maxKeys int) *manual {
	m := &manual{Store: New(Config{MaxKeys: maxKeys}), now: 1_000_000}
	m.divide(1 << bits.Len(uint(maxKeys-1)/4096))
	m.clock = func() int64 { return m.now }
	return m
}

// take is Take without what never fails.
func (m *manual) take(key string, p []store.Limit, cost int) store.Decision {
	d, _ := m.Take(context.Background(), store.Request{Key: key, Limits: p, Cost: cost})
	return d
}

func (m *manual) reset(key string, p []store.Limit) {
	_ = m.Reset(context.Background(), store.Request{Key: key, Limits: p})
}

// sweepAll drops all full buckets.
func (s *Store) sweepAll(now int64) {
	for i := range s.shards {
		s.room.used.Add(-int64(s.shards[i].sweep(now)))
	}
}

// resizeAll moves all buckets into new tables.
func (s *Store) resizeAll() {
	for i := range s.shards {
		s.shards[i].resize()
	}
}

// count returns how many buckets are in the table, by three ways of counting that
// must agree.
func (s *Store) count(t testing.TB) int {
	t.Helper()
	used, found := 0, 0
	for i := range s.shards {
		sh := &s.shards[i]
		used += int(sh.used)
		for at := range sh.slots {
			if sh.slots[at].empty() {
				continue
			}
			found++
			if sh.find(sh.slots[at].id) != &sh.slots[at] {
				t.Fatalf("the bucket in place %d of shard %d cannot be found", at, i)
			}
			if sh.slots[at].fullAt() < sh.earliest {
				t.Fatalf("the bucket in place %d of shard %d is full at %d, before the earliest, %d", at, i, sh.slots[at].fullAt(), sh.earliest)
			}
		}
	}
	if used != found || int64(used) != s.room.used.Load() {
		t.Fatalf("%d buckets are in the table, the shards count %d, the store %d", found, used, s.room.used.Load())
	}
	return used
}
