package memstore

import (
	"strconv"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestNewcomersInAFullStore: a flood that would have spent 64 shared buckets leaves room
// for newcomers in a store of more keys.
func TestNewcomersInAFullStore(t *testing.T) {
	for _, test := range []struct {
		maxKeys, flood int
		limit          ratelimit.Limit
		admitted       int // of 1000 newcomers, at least
	}{
		{51_200, 64 * 1000, ratelimit.PerDay(1000), 1000}, // 256 buckets of 1000 tokens, a quarter of them spent
		{51_200, 64 * 100, ratelimit.PerDay(100), 1000},
		{102_400, 64 * 10 * 2, ratelimit.PerHour(10), 950}, // 512 buckets
	} {
		p := testkit.Limits(t, test.limit)
		s := newManual(test.maxKeys)
		calls := func(name string, n int) (admitted int) {
			for i := range n {
				d, err := s.Take(t.Context(), store.Request{Key: name + strconv.Itoa(i), Limits: p, Cost: 1})
				if err != nil {
					t.Fatal(err)
				}
				if d.Allowed {
					admitted++
				}
			}
			return admitted
		}
		calls("known ", test.maxKeys)
		calls("made up ", test.flood)
		if n := calls("newcomer ", 1000); n < test.admitted {
			t.Errorf("%v, %d keys: after %d made-up keys, %d of 1000 newcomers are admitted; want %d", test.limit, test.maxKeys, test.flood, n, test.admitted)
		}
	}
}

// TestOverflowGrows with MaxKeys, and takes little beside the buckets.
func TestOverflowGrows(t *testing.T) {
	for maxKeys, want := range map[int]int{1: 64, 10_000: 64, 25_599: 64, 25_600: 128, DefaultMaxKeys: 4096, 10_000_000: 32768} {
		got := overflowEach(maxKeys)
		if got != want {
			t.Errorf("%d keys: %d buckets a class; want %d", maxKeys, got, want)
		}
		if bytes := got * classes * 16; maxKeys > 25_000 && bytes > 5*maxKeys {
			t.Errorf("%d keys: %d bytes for overflow", maxKeys, bytes)
		}
	}
	if s := New(Config{}); s.overflow.each != 4096 || s.overflow.tats != nil {
		t.Errorf("a new store has %d buckets a class, and %d already", s.overflow.each, len(s.overflow.tats))
	}
}
