package memstore

import (
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// bytesPerKey is what doc.go and Config promise.
const bytesPerKey = 64

// heap returns how many bytes are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one had still to sweep
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// fill returns a store with n random keys, and what each takes.
func fill(t *testing.T, maxKeys, n int) (*Store, float64) {
	t.Helper()
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	before := heap()
	s := New(Config{MaxKeys: maxKeys})
	for range n {
		_, _ = s.Take(t.Context(), store.Request{Key: strconv.FormatUint(rand.Uint64(), 36), Limits: hourly, Cost: 1})
	}
	return s, float64(heap()-before) / float64(n)
}

func TestBytesPerKey(t *testing.T) {
	sizes := []int{100_000, 300_000, 1_000_000}
	most := testkit.Count(1, len(sizes))
	if raceEnabled {
		most = 1
	}
	for _, n := range sizes[:most] {
		for _, maxKeys := range []int{n, 1_000_000} {
			s, each := fill(t, maxKeys, n)
			t.Logf("%d random keys of at most %d: %.1f bytes each", n, maxKeys, each)
			if each > bytesPerKey {
				t.Errorf("%d random keys of at most %d took %.1f bytes each; want %d at most", n, maxKeys, each, bytesPerKey)
			}
			if used := s.count(t); used < n*99/100 { // a shard may be full of debts a little earlier than the store
				t.Errorf("%d of %d random keys have a bucket", used, n)
			}
			runtime.KeepAlive(s)
		}
	}
}

// TestMemoryIsBounded: ten times as many keys as the table holds.
func TestMemoryIsBounded(t *testing.T) {
	const maxKeys = 20_000
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	before := heap()
	s := New(Config{MaxKeys: maxKeys})
	for i := range 10 * maxKeys {
		_, _ = s.Take(t.Context(), store.Request{Key: strconv.Itoa(i), Limits: hourly, Cost: 1})
	}
	const overflowBytes = classes * perClass * 16
	if took := heap() - before; took > maxKeys*bytesPerKey+overflowBytes+64*int64(len(s.shards))+4096 {
		t.Errorf("%d keys took %d bytes with room for %d; want %d each at most, and %d for those that share", 10*maxKeys, took, maxKeys, bytesPerKey, overflowBytes)
	}
	if used := s.room.used.Load(); used != maxKeys {
		t.Errorf("the table counts %d buckets; want %d", used, maxKeys)
	}
	s.count(t)
}

// TestNoPointers: the collector has nothing to follow in what grows.
func TestNoPointers(t *testing.T) {
	if size := reflect.TypeFor[slot]().Size(); size != 32 {
		t.Errorf("a slot takes %d bytes; want 32", size)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[slot](), reflect.TypeOf(overflow{}.tats).Elem()} {
		if path := pointerIn(typ); path != "" {
			t.Errorf("%v holds a pointer: %s", typ, path)
		}
	}
	// The control: it finds those that are there.
	for _, typ := range []reflect.Type{reflect.TypeFor[shard](), reflect.TypeFor[Store](), reflect.TypeFor[[2]struct{ s string }]()} {
		if pointerIn(typ) == "" {
			t.Errorf("no pointer was found in %v", typ)
		}
	}
}

// pointerIn returns the path of a pointer within a type, or "".
func pointerIn(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.Array:
		return pointerIn(typ.Elem())
	case reflect.Struct:
		for f := range typ.Fields() {
			if path := pointerIn(f.Type); path != "" {
				return f.Name + " " + path
			}
		}
		return ""
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8,
		reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return ""
	default:
		return typ.String()
	}
}

// TestHoldsNoKey: whatever the store holds of a key is a hash. The keys here take
// a hundred megabytes, the store next to nothing.
func TestHoldsNoKey(t *testing.T) {
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	before := heap()
	s := New(Config{})
	key := make([]byte, 1<<20)
	for i := range 100 {
		key[i] = 1
		_, _ = s.Take(t.Context(), store.Request{Key: string(key), Limits: hourly, Cost: 1})
	}
	if took := heap() - before; took > 1<<20 {
		t.Errorf("a hundred keys of 1 MiB took %d bytes", took)
	}
	runtime.KeepAlive(s)
	for f := range reflect.TypeFor[Store]().Fields() {
		if k := f.Type.Kind(); k == reflect.String || k == reflect.Map {
			t.Errorf("the field %s of Store can hold a key", f.Name)
		}
	}
}

// TestGrowthMovesOneShard: a decision moves at most the buckets of its own shard,
// and these are a few thousand.
func TestGrowthMovesOneShard(t *testing.T) {
	const n = 200_000
	hourly := testkit.Limits(t, ratelimit.PerHour(5))
	m := newManual(n)
	tables := make([]*slot, len(m.shards))
	moves := 0
	for i := range n {
		key := strconv.Itoa(i)
		own := m.shard(m.hash(key))
		m.take(key, hourly, 1)
		if i%16 != 0 && i > n/2 { // looking at all takes longer than the decision
			continue
		}
		for at := range m.shards {
			sh := &m.shards[at]
			if len(sh.slots) == 0 || tables[at] == &sh.slots[0] {
				continue
			}
			moves++
			tables[at] = &sh.slots[0]
			if sh != own && i <= n/2 {
				t.Fatalf("a decision in another shard moved shard %d", at)
			}
			if sh.used > 2*4096 {
				t.Fatalf("a table of %d buckets was moved at once; want some 4096 at most", sh.used)
			}
		}
	}
	if moves < len(m.shards) {
		t.Errorf("only %d moves were seen", moves)
	}
	for i := range m.shards {
		if len(m.shards[i].slots) > 2*4096*5/3 {
			t.Errorf("shard %d has %d places", i, len(m.shards[i].slots))
		}
	}
}

// TestTableShrinks: when a flood is over, its room goes back as the table is used.
func TestTableShrinks(t *testing.T) {
	short, hourly := testkit.Limits(t, ratelimit.PerSecond(1)), testkit.Limits(t, ratelimit.PerHour(5))
	m := newManual(4096)
	for i := range 4000 {
		m.take("flood "+strconv.Itoa(i), short, 1)
	}
	grown := m.slots()
	m.now += time.Second.Microseconds()
	for i := range 1000 {
		m.take("after "+strconv.Itoa(i), hourly, 1)
	}
	m.sweepAll(m.now)
	if n := m.count(t); n != 1000 {
		t.Errorf("the table holds %d buckets; want 1000", n)
	}
	if m.slots() > grown/2 {
		t.Errorf("%d places for 4000 buckets, %d for 1000 after them; want half of them at most", grown, m.slots())
	}
}

func TestNew(t *testing.T) {
	for _, test := range []struct {
		maxKeys, max, shards int
	}{
		{0, DefaultMaxKeys, 256},
		{-1, DefaultMaxKeys, 256},
		{1, 1, 1},
		{64, 64, 1},
		{65, 65, 2},
		{4096, 4096, 64},
		{4097, 4097, 128},
		{10_000, 10_000, 128},
		{128 * 4096, 128 * 4096, 128},
		{128*4096 + 1, 128*4096 + 1, 256},
		{1_000_000, 1_000_000, 256},
		{min(1<<40, math.MaxInt), min(1<<40, math.MaxInt), 1 << 16},
	} {
		s := New(Config{MaxKeys: test.maxKeys})
		if s.room.max != int64(test.max) || len(s.shards) != test.shards {
			t.Errorf("MaxKeys %d makes room for %d in %d shards; want %d in %d", test.maxKeys, s.room.max, len(s.shards), test.max, test.shards)
		}
		// All shards are in use, and all of each.
		if test.shards > 256 {
			continue
		}
		hourly := testkit.Limits(t, ratelimit.PerHour(5))
		n := min(test.max, 20*test.shards)
		for i := range n {
			_, _ = s.Take(t.Context(), store.Request{Key: strconv.Itoa(i), Limits: hourly, Cost: 1})
		}
		if got := s.count(t); got != n {
			t.Errorf("MaxKeys %d: %d of %d keys have a bucket", test.maxKeys, got, n)
		}
		empty := 0
		for i := range s.shards {
			if s.shards[i].used == 0 {
				empty++
			}
		}
		if empty > 0 && n >= 20*test.shards {
			t.Errorf("MaxKeys %d: %d of %d shards are empty", test.maxKeys, empty, test.shards)
		}
	}
}
