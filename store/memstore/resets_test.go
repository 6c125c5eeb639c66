package memstore

import (
	"strconv"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestManyResets: the oldest of too many resets is forgotten. What was held before it is
// then charged, less the estimate, which would have become a debt by then.
func TestManyResets(t *testing.T) {
	m, daily := newManual(100_000), testkit.Limits(t, ratelimit.PerDay(1000))
	hold := func(key string) store.Settlement {
		var h store.Hold
		if _, err := m.Take(t.Context(), store.Request{Key: key, Limits: daily, Cost: 10, Hold: &h}); err != nil {
			t.Fatal(err)
		}
		return store.Settlement{Key: key, Limits: daily, Names: h.Names, Held: 10, Actual: 500}
	}
	pushedOut, kept, again, never := hold("pushed out"), hold("kept"), hold("again"), hold("never")
	m.reset("again", daily)
	for _, key := range []string{"pushed out", "kept", "again"} {
		m.now++
		m.reset(key, daily)
	}
	for i := range maxResets - 2 {
		m.now++
		m.reset(strconv.Itoa(i), daily)
	}
	if n := len(m.resets.at); n != maxResets {
		t.Errorf("%d resets are remembered; want %d", n, maxResets)
	}
	m.now += 3_000_000
	for _, test := range []struct {
		settlement store.Settlement
		left       int
	}{{pushedOut, 509}, {kept, 1000}, {again, 1000}, {never, 500}} {
		m.Settle(t.Context(), []store.Settlement{test.settlement})
		key := test.settlement.Key
		if d := m.take(key, daily, 0); daily[0].Remaining(d.Debts[0]) != test.left {
			t.Errorf("%s: %d are left after 500 were settled; want %d", key, daily[0].Remaining(d.Debts[0]), test.left)
		}
	}
}
