package memstore

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestPrintShowsNoSeed: who knows the seeds can make up keys that collide, and a
// store that is printed may end up in a log.
func TestPrintShowsNoSeed(t *testing.T) {
	s := New(Config{MaxKeys: 10})
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		holder := struct{ Store store.Store }{s}
		text := fmt.Sprintf(verb, s) + " " + fmt.Sprintf(verb, holder)
		for _, seed := range s.seeds {
			if strings.Contains(text, strings.Trim(fmt.Sprintf(verb, seed), "{}")) {
				t.Errorf("%s prints a seed: %s", verb, text)
			}
		}
	}
}

// TestTakeWithoutAPolicy: a mistake of the caller is an error, and locks nobody out.
func TestTakeWithoutAPolicy(t *testing.T) {
	s := New(Config{})
	if d, err := s.Take(t.Context(), store.Request{Key: "k", Cost: 1}); err == nil || d.Allowed {
		t.Errorf("%+v, %v; want an error", d, err)
	}
	if mu := &s.shard(s.hash("k")).mu; !mu.TryLock() {
		t.Error("the shard is locked for ever")
	}
}

// TestLookForRoomIsBounded: a caller who finds the table full looks at a bounded
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
