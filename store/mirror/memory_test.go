package mirror

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

func mustPolicy(t testing.TB, limits ...ratelimit.Limit) *ratelimit.Policy {
	t.Helper()
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestSlotSize: Config.MaxKeys says what a bucket takes.
func TestSlotSize(t *testing.T) {
	if n := unsafe.Sizeof(slot{}); n != 64 {
		t.Errorf("a slot takes %d bytes; want 64", n)
	}
}

// sightAt is what was seen of a debt of so many microseconds at an instant.
func sightAt(b *ratelimit.Bucket, micros, at int64) sight {
	return sightOf(b, ratelimit.Debt{Micros: micros}, at, at, 1)
}

// TestMemoryIsBounded: of ever more keys, so many are remembered as there is room, and
// no more; a key with a larger debt than they have is not forgotten for them.
func TestMemoryIsBounded(t *testing.T) {
	b := mustPolicy(t, ratelimit.PerHour(10)).Bucket(0)
	for _, maxKeys := range []int{1, 4, 5, 100, 1000, 10_000, testkit.Count(20_000, 300_000)} {
		m := newMemory(maxKeys)
		put := func(key string, micros int64) {
			hash := m.hash(key)
			m.shard(hash).put(hash.id(b), sightAt(b, micros, 1), 1, m.most)
		}
		put("large", 1_000_001)
		for i := range 4 * maxKeys {
			put(fmt.Sprint(i), 1_000_000)
		}
		slots, used := 0, 0
		for i := range m.shards {
			slots += len(m.shards[i].slots)
			for j := range m.shards[i].slots {
				if m.shards[i].slots[j].den != 0 {
					used++
				}
			}
		}
		if slots >= 2*max(maxKeys, ways) || used < min(maxKeys, 4*maxKeys)*9/10 {
			t.Errorf("for MaxKeys %d there are %d slots, %d of them used", maxKeys, slots, used)
		}
		hash := m.hash("large")
		if m.shard(hash).find(hash.id(b)) == nil {
			t.Errorf("for MaxKeys %d, the largest debt was forgotten", maxKeys)
		}
	}
}

// TestMemoryGrows without losing or blurring what it holds.
func TestMemoryGrows(t *testing.T) {
	p := mustPolicy(t, ratelimit.PerHour(10), ratelimit.PerDay(10).Named("daily"))
	m := newMemory(100_000)
	const keys = 10_000
	for i := range keys {
		hash := m.hash(fmt.Sprint(i))
		for j := range 2 {
			m.shard(hash).put(hash.id(p.Bucket(j)), sightAt(p.Bucket(j), int64(1000*i+j+1), math.MinInt32), math.MinInt32, m.most)
		}
	}
	lost := 0
	for i := range keys {
		hash := m.hash(fmt.Sprint(i))
		for j := range 2 {
			slot := m.shard(hash).find(hash.id(p.Bucket(j)))
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

// TestFullBucketsGiveWay at once, to whatever comes.
func TestFullBucketsGiveWay(t *testing.T) {
	b := mustPolicy(t, ratelimit.PerHour(10)).Bucket(0)
	m := newMemory(1)
	const second = 1_000_000_000
	for i := range ways {
		hash := m.hash(fmt.Sprint(i))
		m.shard(hash).put(hash.id(b), sightAt(b, 1_000_000, 0), 0, m.most)
	}
	for _, c := range []struct {
		at   int64
		kept bool
	}{{second - 1, false}, {second, true}} {
		hash := m.hash("new")
		m.shard(hash).put(hash.id(b), sightAt(b, 0, c.at), c.at, m.most)
		if kept := m.shard(hash).find(hash.id(b)) != nil; kept != c.kept {
			t.Errorf("at %d ns a full bucket is kept: %v; want %v", c.at, kept, c.kept)
		}
	}
}

// TestOutdates: which of two answers is the later one.
func TestOutdates(t *testing.T) {
	old := sight{micros: 100, den: 1, sent: 1000, came: 2000, seen: 50}
	for name, c := range map[string]struct {
		next sight
		want bool
	}{
		"asked afterwards": {sight{micros: 1, den: 1, sent: 2000, came: 3000, seen: 60}, true},
		"asked afterwards, of a clock that was set back": {sight{micros: 1, den: 1, sent: 2000, came: 3000, seen: 1}, true},
		"asked meanwhile, decided later":                 {sight{micros: 1, den: 1, sent: 1500, came: 3000, seen: 51}, true},
		"asked meanwhile, decided earlier":               {sight{micros: 999, den: 1, sent: 1500, came: 3000, seen: 49}, false},
		"decided together, the larger debt":              {sight{micros: 101, den: 1, sent: 1000, came: 3000, seen: 50}, true},
		"decided together, the smaller debt":             {sight{micros: 99, den: 1, sent: 1000, came: 3000, seen: 50}, false},
	} {
		if got := c.next.outdates(&old); got != c.want {
			t.Errorf("%s: it takes the place of the old one: %v; want %v", name, got, c.want)
		}
	}
}

// TestShare: never more than the rate divided by the nodes, and a burst of one at least.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		limit, want string
		nodes       int
	}{
		{"5/s", "1/1s", 5},
		{"10/s;burst=40", "5/1s;burst=20", 2},
		{"5/s", "5/2s;burst=2", 2},
		{"5/s", "1/2s", 10},
		{"7/1m;burst=3", "7/3m;burst=1", 3},
		{"1/87600h", "1/87600h", 2},                                      // ten years: twenty is no limit
		{"2147483647/2562047h;burst=2", "33554431/2562047h;burst=1", 64}, // the period would be beyond time.Duration
		{"37/2562047h;burst=1", "1/87600h", 64},                          // and where nothing is left
	} {
		l, err := ratelimit.ParseLimit(c.limit)
		if err != nil {
			t.Errorf("%s: %v", c.limit, err)
			continue
		}
		if l.Burst == 0 {
			l.Burst = l.Rate
		}
		want, err := ratelimit.ParseLimit(c.want)
		if err != nil {
			t.Fatal(err)
		}
		if want.Burst == 0 {
			want.Burst = want.Rate
		}
		if got := share(l, c.nodes); got != want {
			t.Errorf("one of %d shares of %s is %+v; want %+v", c.nodes, c.limit, got, want)
		}
	}
}

// TestSharesAreKept, up to a bound.
func TestSharesAreKept(t *testing.T) {
	var s shares
	p := mustPolicy(t, ratelimit.PerSecond(10))
	if s.share(p, 1) != p {
		t.Error("the share of one node is not the policy itself")
	}
	if first, second := s.share(p, 2), s.share(p, 2); first != second {
		t.Error("a share was made twice")
	}
	for range 2 * maxShares {
		s.share(mustPolicy(t, ratelimit.PerSecond(10)), 2)
		if len(s.of) > maxShares {
			t.Fatalf("%d shares are kept", len(s.of))
		}
	}
}
