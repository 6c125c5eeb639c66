package lease_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/lease"
	"github.com/keyrate/keyrate/store/memstore"
)

func open(t *testing.T) *lease.Store {
	t.Helper()
	s, err := lease.New(memstore.New(memstore.Config{}), lease.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func take(t *testing.T, s store.Store, l []store.Limit) {
	t.Helper()
	if _, err := s.Take(t.Context(), store.Request{Key: "key", Limits: l, Cost: 1, Timeout: time.Second}); err != nil {
		t.Fatal(err)
	}
}

// TestNoAllocations: a call that a lease decides, and one of a cold key, allocate nothing.
func TestNoAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	s := open(t)
	l := testkit.Limits(t, ratelimit.Limit{Rate: 1_000_000_000, Period: time.Second, Burst: 1_000_000_000})
	for start := time.Now(); time.Since(start) < 50*time.Millisecond; {
		take(t, s, l)
	}
	if n := testing.AllocsPerRun(1000, func() { take(t, s, l) }); n != 0 {
		t.Errorf("%v allocations with a lease", n)
	}
	small := perSecond(t, 5, 5)
	if n := testing.AllocsPerRun(1000, func() { take(t, s, small) }); n != 0 {
		t.Errorf("%v allocations without", n)
	}
}
