package memstore

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"unsafe"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// put stores a bucket that is full at the instant at.
func put(sh *shard, id id, at int64) {
	if sh.crowded() {
		sh.resize()
	}
	slot := sh.place(id, math.MinInt64)
	sh.used++
	slot.id = id
	sh.set(slot, gcra.TAT{Micros: at, Den: 1}, 0, false)
}

// TestSweepKeepsTheRest: whatever is dropped, in clusters that go round the end of
// the table too, all else is found, and nothing that was dropped is.
func TestSweepKeepsTheRest(t *testing.T) {
	for seed := range uint64(2000) {
		random := rand.New(rand.NewPCG(seed, 0))
		var sh shard
		full := map[id]int64{}
		homes := 1 + random.IntN(20) // few: long clusters
		for range random.IntN(60) {
			id := id{key: uint64(random.IntN(homes)) * (math.MaxUint64 / uint64(homes)), limit: random.Uint64()}
			full[id] = int64(random.IntN(10))
			put(&sh, id, full[id])
		}
		for now := int64(-1); now <= 10; now++ {
			want := 0
			for _, at := range full {
				if at <= now {
					want++
				}
			}
			if freed := sh.sweep(now); freed != want {
				t.Fatalf("seed %d: at %d a sweep dropped %d; want %d", seed, now, freed, want)
			}
			for id, at := range full {
				slot := sh.find(id)
				if at <= now {
					if slot != nil {
						t.Fatalf("seed %d: a bucket full at %d is there at %d", seed, at, now)
					}
					delete(full, id)
					continue
				}
				if slot == nil || slot.micros != at {
					t.Fatalf("seed %d: the bucket full at %d is %+v at %d", seed, at, slot, now)
				}
			}
			if int(sh.used) != len(full) {
				t.Fatalf("seed %d: %d buckets are counted; want %d", seed, sh.used, len(full))
			}
		}
	}
}

// TestSweepLooksOnlyWhenItMust: a lower bound of the next instant at which there
// is something to drop saves the search for it.
func TestSweepLooksOnlyWhenItMust(t *testing.T) {
	var sh shard
	for i := range uint64(20) {
		put(&sh, id{key: i << 59, limit: i}, 100+int64(i))
	}
	if sh.sweep(50) != 0 || sh.earliest != 100 {
		t.Errorf("after a sweep that found nothing the earliest is %d; want 100", sh.earliest)
	}
	if sh.sweep(104) != 5 || sh.earliest != 105 {
		t.Errorf("after a sweep the earliest is %d; want 105", sh.earliest)
	}
	put(&sh, id{key: 1 << 63, limit: 99}, 104)
	if sh.earliest != 104 {
		t.Errorf("after a put the earliest is %d; want 104", sh.earliest)
	}
	if sh.sweep(1000) != 16 || sh.earliest != math.MaxInt64 {
		t.Errorf("after a sweep of all the earliest is %d; want none", sh.earliest)
	}
}

// TestPlaceTakesTheFirst: a new bucket takes the first place on its way that is
// empty or full, so that searches stay short.
func TestPlaceTakesTheFirst(t *testing.T) {
	var sh shard
	sh.slots = make([]slot, 8)
	for i := range 4 {
		put := id{limit: uint64(i)}
		slot := sh.place(put, math.MinInt64)
		if slot != &sh.slots[i] {
			t.Fatalf("bucket %d does not come to place %d", i, i)
		}
		slot.id = put
		sh.set(slot, gcra.TAT{Micros: 10 * int64(i+1), Den: 1}, 0, false)
	}
	for now, want := range map[int64]int{9: 4, 10: 0, 11: 0} {
		if slot := sh.place(id{limit: 99}, now); slot != &sh.slots[want] {
			t.Errorf("at %d a new bucket does not come to place %d", now, want)
		}
	}
	sh.slots[0].micros = 1000
	if slot := sh.place(id{limit: 99}, 20); slot != &sh.slots[1] {
		t.Error("at 20 a new bucket does not come to place 1")
	}
}

// TestResizeKeepsAll: a table that moves loses nothing, and has the room that
// doc.go says.
func TestResizeKeepsAll(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	var sh shard
	var ids []id
	for i := range 3000 {
		id := id{random.Uint64(), random.Uint64()}
		ids = append(ids, id)
		put(&sh, id, int64(i))
		if i%100 == 0 {
			sh.resize()
			if used, places := int(sh.used), len(sh.slots); used*8 > places*5 || i > 64 && used*2 < places {
				t.Fatalf("%d buckets have %d places; want them three fifths full", sh.used, places)
			}
		}
	}
	for i, id := range ids {
		if slot := sh.find(id); slot == nil || slot.micros != int64(i) {
			t.Fatalf("bucket %d is %+v", i, slot)
		}
	}
}

// TestWhenTablesMove: a crowded table that a sweep leaves between an eighth and
// five eighths full stays where it is; and a small one never shrinks.
func TestWhenTablesMove(t *testing.T) {
	// Before it is crowded it is not swept either: the new bucket takes the place
	// of one that is full.
	s := newManual(4096)
	sh := &s.shards[0]
	sh.slots = make([]slot, 512)
	for i := range uint64(383) {
		put(sh, id{key: i << 52, limit: i}, 100)
		s.room.used.Add(1)
	}
	s.insert(sh, id{limit: 1 << 40}, gcra.TAT{Micros: 2000, Den: 1}, 0, false, 500)
	if n := s.count(t); n != 383 {
		t.Errorf("a table of 512 places that was not crowded holds %d buckets after one more; want 383 as before", n)
	}

	for _, test := range []struct {
		places, stay int // what is still in debt when the table is swept
		moves        bool
	}{
		{512, 384, true}, {512, 320, true}, {512, 319, false}, {512, 200, false}, {512, 64, false}, {512, 63, true}, {512, 0, true},
		{shrinkAbove, shrinkAbove/8 - 1, false}, {shrinkAbove, 0, false}, {shrinkAbove + 8, 0, true},
	} {
		s := newManual(4096)
		sh := &s.shards[0]
		sh.slots = make([]slot, test.places)
		for i := range test.places * 3 / 4 {
			fullAt := int64(100)
			if i < test.stay {
				fullAt = 1000
			}
			at := id{key: uint64(i) << 52, limit: uint64(i)}
			slot := sh.place(at, math.MinInt64)
			slot.id = at
			sh.set(slot, gcra.TAT{Micros: fullAt, Den: 1}, 0, false)
			sh.used++
			s.room.used.Add(1)
		}
		before := &sh.slots[0]
		if !s.insert(sh, id{limit: 1 << 40}, gcra.TAT{Micros: 2000, Den: 1}, 0, false, 500) {
			t.Fatal("there was no room")
		}
		if moved := before != &sh.slots[0]; moved != test.moves {
			t.Errorf("a table of %d places with %d buckets in debt: moved=%v; want %v", test.places, test.stay, moved, test.moves)
		}
		if n := s.count(t); n != test.stay+1 {
			t.Errorf("a table of %d places with %d buckets in debt holds %d after one more", test.places, test.stay, n)
		}
	}
}

// TestAdvance: the time of a shard never goes backwards.
func TestAdvance(t *testing.T) {
	var sh shard
	for _, step := range []struct{ now, want int64 }{{5, 5}, {4, 5}, {5, 5}, {6, 6}, {-1, 6}} {
		if got := sh.advance(step.now); got != step.want {
			t.Errorf("advance(%d) = %d; want %d", step.now, got, step.want)
		}
	}
}

// TestShardFillsACacheLine: shards do not slow each other down.
func TestShardFillsACacheLine(t *testing.T) {
	if strconv.IntSize != 64 {
		t.Skip("a shard is smaller where an int has 32 bits")
	}
	if size := unsafe.Sizeof(shard{}); size != 64 {
		t.Errorf("a shard takes %d bytes; want 64", size)
	}
}

// TestFullAt: a bucket is full once no part of a microsecond is left. One without an index
// is rounded up to a microsecond: its denominator is not stored.
func TestFullAt(t *testing.T) {
	sevenths := &testkit.Limits(t, ratelimit.PerSecond(7))[0]
	num, den := sevenths.Interval()
	for _, shared := range []bool{false, true} {
		for _, test := range []struct {
			index uint32
			set   gcra.TAT
			want  gcra.TAT
			full  int64
		}{
			{sevenths.Index(), gcra.TAT{Micros: 10, Den: den, Num: num}, gcra.TAT{Micros: 10, Den: den, Num: num}, 10},
			{sevenths.Index(), gcra.TAT{Micros: 10, Frac: 1, Den: den, Num: num}, gcra.TAT{Micros: 10, Frac: 1, Den: den, Num: num}, 11},
			{sevenths.Index(), gcra.TAT{Micros: 10, Frac: 6, Den: den, Num: num}, gcra.TAT{Micros: 10, Frac: 6, Den: den, Num: num}, 11},
			{0, gcra.TAT{Micros: 10, Den: den, Num: num}, gcra.TAT{Micros: 10, Den: 1}, 10},
			{0, gcra.TAT{Micros: 10, Frac: 1, Den: den, Num: num}, gcra.TAT{Micros: 11, Den: 1}, 11},
			{0, gcra.TAT{Micros: 10, Frac: math.MaxInt32, Den: 1 << 31}, gcra.TAT{Micros: 11, Den: 1}, 11},
		} {
			var s slot
			if !s.empty() {
				t.Error("the zero slot is not empty")
			}
			s.set(test.set, test.index, shared)
			if s.fullAt() != test.full || s.tat() != test.want || s.shared() != shared || s.empty() || s.isWhole() {
				t.Errorf("set(%+v, %d, %v) makes %+v, full at %d, shared=%v", test.set, test.index, shared, s.tat(), s.fullAt(), s.shared())
			}
		}
	}
}

// TestIDs: a key and a limit have a hash of 128 bits, keyed by secrets of the
// store; the half that finds the place is the key's alone.
func TestIDs(t *testing.T) {
	if size := unsafe.Sizeof(id{}); size != 16 {
		t.Errorf("an id has %d bytes; want 16", size)
	}
	a, b := New(Config{}), New(Config{})
	hourly := testkit.Limits(t, ratelimit.PerHour(1), ratelimit.PerDay(1).Named("daily"))
	if a.hash("k") == b.hash("k") || a.hash("k").key == b.hash("k").key || a.hash("k").limit == b.hash("k").limit {
		t.Error("two stores have the same hash of a key; an attacker could try it out")
	}
	if h := a.hash("k"); h.key == h.limit {
		t.Error("both halves of a hash are the same")
	}
	seen := map[id]string{}
	keys, limits := map[uint64]bool{}, map[uint64]bool{}
	for i := range 100_000 {
		key := string(rune(i))
		h := a.hash(key)
		keys[h.key], limits[h.limit] = true, true
		for j := range 2 {
			at := h.of(&hourly[j])
			if at.key != h.key {
				t.Fatal("the buckets of a key have different homes")
			}
			if key != "\ufffd" && seen[at] != "" {
				t.Fatalf("%q and %q have the same id", key, seen[at])
			}
			seen[at] = key
		}
	}
	const runes = 100_000 - 0x800 // without surrogates, which string makes U+FFFD
	if len(keys) < runes || len(limits) < runes {
		t.Errorf("%d and %d hashes in either half; want %d", len(keys), len(limits), runes)
	}
}
