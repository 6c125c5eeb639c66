package memory

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// TestSlotSize: a bucket takes what Config.MaxKeys says.
func TestSlotSize(t *testing.T) {
	if n := unsafe.Sizeof(slot{}); n != 64 {
		t.Errorf("a slot takes %d bytes; want 64", n)
	}
}

// observedAt returns the observation of a debt in microseconds, at an instant.
func observedAt(b *store.Limit, micros, at int64) observation {
	return observe(b, gcra.Debt{Micros: micros}, at, at, 1)
}

// TestMemoryIsBounded: of ever more keys, as many are remembered as there is room for. A key
// with a larger debt is not forgotten for them.
func TestMemoryIsBounded(t *testing.T) {
	b := &testkit.Limits(t, ratelimit.PerHour(10))[0]
	for _, maxKeys := range []int{1, 4, 5, 100, 1000, 10_000, testkit.Count(20_000, 300_000)} {
		m := newTable(maxKeys)
		put := func(key string, micros int64) {
			owners := m.owners("", key)
			m.shard(&owners).put(owners.of(b), observedAt(b, micros, 1), 1)
		}
		put("large", 1_000_001)
		for i := range 4 * maxKeys {
			put(fmt.Sprint(i), 1_000_000)
		}
		slots, used := 0, 0
		for i := range m.shards {
			slots += len(m.shards[i].slots)
			for j := range m.shards[i].slots {
				if !m.shards[i].slots[j].empty() {
					used++
				}
			}
		}
		if slots >= 2*max(maxKeys, setSlots) || used < min(maxKeys, 4*maxKeys)*9/10 {
			t.Errorf("for MaxKeys %d there are %d slots, %d of them used", maxKeys, slots, used)
		}
		owners := m.owners("", "large")
		if m.shard(&owners).find(owners.of(b)) == nil {
			t.Errorf("for MaxKeys %d, the largest debt was forgotten", maxKeys)
		}
	}
}

// TestMemoryGrows without losing or changing what it holds.
func TestMemoryGrows(t *testing.T) {
	p := testkit.Limits(t, ratelimit.PerHour(10), ratelimit.PerDay(10).Named("daily"))
	m := newTable(100_000)
	const keys = 10_000
	for i := range keys {
		owners := m.owners("", fmt.Sprint(i))
		for j := range 2 {
			m.shard(&owners).put(owners.of(&p[j]), observedAt(&p[j], int64(1000*i+j+1), math.MinInt32), math.MinInt32)
		}
	}
	lost := 0
	for i := range keys {
		owners := m.owners("", fmt.Sprint(i))
		for j := range 2 {
			slot := m.shard(&owners).find(owners.of(&p[j]))
			if slot == nil {
				lost++
			} else if slot.micros != int64(1000*i+j+1) {
				t.Fatalf("limit %d of key %d is remembered with a debt of %d", j, i, slot.micros)
			}
		}
	}
	if lost > keys/100 {
		t.Errorf("%d of %d buckets were forgotten though there was room", lost, 2*keys)
	}
}

// TestFullBucketsGiveWay at once to any other bucket.
func TestFullBucketsGiveWay(t *testing.T) {
	b := &testkit.Limits(t, ratelimit.PerHour(10))[0]
	m := newTable(1)
	const second = 1_000_000_000
	for i := range setSlots {
		owners := m.owners("", fmt.Sprint(i))
		m.shard(&owners).put(owners.of(b), observedAt(b, 1_000_000, 0), 0)
	}
	for _, c := range []struct {
		at   int64
		kept bool
	}{{second - 1, false}, {second, true}} {
		owners := m.owners("", "new")
		m.shard(&owners).put(owners.of(b), observedAt(b, 0, c.at), c.at)
		if kept := m.shard(&owners).find(owners.of(b)) != nil; kept != c.kept {
			t.Errorf("at %d ns a full bucket is kept: %v; want %v", c.at, kept, c.kept)
		}
	}
}
