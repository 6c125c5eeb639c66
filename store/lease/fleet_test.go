package lease_test

import (
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/internal/testkit/fleet"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// newFleet returns a fleet that ends with the test.
func newFleet(t *testing.T, c fleet.Config) *fleet.Fleet {
	t.Helper()
	skipRaces(t)
	f := fleet.New(c)
	t.Cleanup(f.Close)
	return f
}

// skipRaces skips a simulation, which runs on one thread, under the race detector.
func skipRaces(t *testing.T) {
	t.Helper()
	if raceEnabled {
		t.Skip("a simulation has no races, and takes minutes with the detector")
	}
}

func perSecond(t *testing.T, rate, burst int) []store.Limit {
	t.Helper()
	return testkit.Limits(t, ratelimit.Limit{Rate: rate, Period: time.Second, Burst: burst})
}

// TestTrips: what one hot key costs the shared store.
func TestTrips(t *testing.T) {
	for _, c := range []struct {
		nodes    int
		balancer fleet.Balancer
		least    int // decisions per trip
	}{
		{1, fleet.Sticky, 100},
		{50, fleet.Sticky, 90},
		{50, fleet.Spread, 15},
		{50, fleet.Hop, 15},
	} {
		f := newFleet(t, fleet.Config{Nodes: c.nodes, Limits: perSecond(t, 10_000, 10_000), RTT: time.Millisecond, Seed: 1})
		f.Play(fleet.Load{Rate: 9000, Balancer: c.balancer}, 10*time.Second)
		k := f.Sum()
		t.Logf("%+v: %.1f decisions per trip", c, float64(k.Calls)/float64(f.Server.Trips))
		if k.Calls < c.least*f.Server.Trips || k.Admitted != k.Ideal || f.Over() > 0 {
			t.Errorf("%+v: %+v in %d trips, %d tokens over", c, k, f.Server.Trips, f.Over())
		}
	}
}

// TestOverLimit: a key that is called beyond its limit is not leased, so that no node is denied what
// another one holds and does not spend. It is leased again when it is called less.
func TestOverLimit(t *testing.T) {
	f := newFleet(t, fleet.Config{Nodes: 10, Limits: perSecond(t, 1000, 1000), RTT: time.Millisecond, Seed: 1})
	f.Play(fleet.Load{Rate: 3000}, 10*time.Second)
	before := f.Sum()
	f.Play(fleet.Load{Rate: 3000}, 20*time.Second)
	k := f.Sum()
	t.Logf("%+v, then %+v", before, k)
	if calls := k.Calls - before.Calls; k.False-before.False > calls/100 || k.Admitted-before.Admitted < (k.Ideal-before.Ideal)*97/100 || f.Over() > 0 {
		t.Errorf("of %d calls, %d were denied early; %d were admitted, and %d are right", calls, k.False-before.False, k.Admitted-before.Admitted, k.Ideal-before.Ideal)
	}
	before = k
	f.Play(fleet.Load{Rate: 500}, 20*time.Second)
	if k = f.Sum(); k.Local-before.Local < (k.Calls-before.Calls)/2 {
		t.Errorf("of %d calls, leases decided %d", k.Calls-before.Calls, k.Local-before.Local)
	}
}
