package memstore

import (
	"math"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestLookForRoomIsBounded: a call that finds the table full looks at a bounded
// number of other shards, and the next one goes on from there, whether these have
// buckets to look through or not.
func TestLookForRoomIsBounded(t *testing.T) {
	for _, test := range []struct {
		name     string
		earliest int64 // of every shard
		visits   int
	}{
		{"nothing to sweep", math.MaxInt64, recycleVisits},
		{"all to sweep", 0, recycleSweeps},
	} {
		m := newManual(1 << 24)
		m.room.max = 0 // as if full
		for i := range m.shards {
			m.shards[i].earliest = test.earliest
		}
		daily := testkit.Limits(t, ratelimit.PerDay(1000))
		for call := 1; call <= 3; call++ {
			m.now += recycleEvery
			if d := m.take("k", daily, 1); !d.Overflow {
				t.Fatalf("%s: answered %+v; want it marked Overflow", test.name, d)
			}
			// Its own shard is passed over.
			if got := int(m.room.next.Load()); got < call*test.visits || got > call*(test.visits+1) {
				t.Errorf("%s: %d calls visited %d of %d shards; want %d each", test.name, call, got, len(m.shards), test.visits)
			}
		}
	}
}
