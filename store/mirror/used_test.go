package mirror_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror"
)

// changes are limits that change after some tokens were used, and how many are left then.
var changes = []struct {
	from, to   ratelimit.Limit
	used, left int
}{
	{ratelimit.PerDay(1000), ratelimit.PerHour(1000), 50, 950},
	{ratelimit.PerSecond(5).WithBurst(50), ratelimit.PerSecond(10).WithBurst(50), 25, 25},
	{ratelimit.PerSecond(1).WithBurst(100), ratelimit.PerSecond(100), 2, 98},
	{ratelimit.PerHour(1000), ratelimit.PerDay(1000), 1000, 0},
	{ratelimit.PerSecond(100), ratelimit.PerSecond(1).WithBurst(100), 100, 0},
	{ratelimit.Limit{Rate: 3, Period: time.Minute}, ratelimit.Limit{Rate: 5, Period: time.Minute}, 3, 2},
	{ratelimit.PerMinute(60).WithBurst(2), ratelimit.PerMinute(60), 2, 58},
}

// TestWhatIsUsedStaysUsed when a limit changes: with the shared store, while it is down, and
// across its return.
func TestWhatIsUsedStaysUsed(t *testing.T) {
	for name, way := range map[string]struct {
		first          bool // one token is used alone, the others then at the shared store
		here           int  // halves of what is used that are used alone, the others before that
		before, during bool // used under the new limit while it is down; it is down to the end
	}{
		"with the shared store":                    {},
		"while it is down":                         {here: 2, during: true},
		"known when it goes down":                  {during: true},
		"known, and used alone":                    {here: 1, during: true},
		"used alone, and known when it goes down":  {first: true, during: true},
		"used alone, and it is back":               {here: 2},
		"known, used alone, and it is back":        {here: 1},
		"seen under the new limit, and it is back": {here: 2, before: true},
		"known, seen under it, and it is back":     {here: 1, before: true},
		"known, not used since, and it is back":    {before: true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range changes {
				synctest.Test(t, func(t *testing.T) {
					shared := newFaulty()
					time.Sleep(time.Hour)
					s := newMirror(t, shared, mirror.Config{})
					from, to := policy(t, c.from), policy(t, c.to)
					take(t, s, "another key", from, 1)
					here := c.used * way.here / 2
					use := func(p []store.Limit, n int) {
						if n > 0 && !take(t, s, "key", p, n).Allowed {
							t.Fatalf("%v to %v: a request of cost %d was denied", c.from, c.to, n)
						}
					}
					if way.first {
						shared.down()
						use(from, 1)
						shared.up()
						use(from, c.used-1)
					} else {
						use(from, c.used-here)
					}
					shared.down()
					use(from, here)
					left := c.left
					if way.before && left > 0 {
						use(to, 1)
						left--
					}
					if !way.during {
						shared.up()
					}
					if take(t, s, "key", to, left+1).Allowed {
						t.Errorf("%v to %v: a request of cost %d was admitted", c.from, c.to, left+1)
					}
					d := take(t, s, "key", to, 0)
					if n := to[0].Remaining(d.Debts[0]); n != left {
						t.Errorf("%v to %v: %d are left; want %d", c.from, c.to, n, left)
					}
					use(to, left)
					if take(t, s, "key", to, 1).Allowed {
						t.Errorf("%v to %v: the bucket is empty, and a request was admitted", c.from, c.to)
					}
				})
			}
		})
	}
}

// TestOneNodeHasNotReloaded its limits: both nodes together admit about the sum of what the
// limits allow, through an outage as well. The key is neither locked nor free.
func TestOneNodeHasNotReloaded(t *testing.T) {
	for _, outage := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			shared := newFaulty()
			shared.trip = func() time.Duration { return time.Millisecond / 2 }
			old, reloaded := newMirror(t, shared, mirror.Config{Nodes: 2}), newMirror(t, shared, mirror.Config{Nodes: 2})
			day, second := policy(t, ratelimit.PerDay(100)), policy(t, ratelimit.PerSecond(50))
			byDay, bySecond := 0, 0
			for i := range 5000 { // 105 s
				if i == 2000 && outage {
					shared.down()
				}
				if i == 2500 {
					shared.up()
				}
				if take(t, old, "key", day, 1).Allowed {
					byDay++
				}
				if take(t, reloaded, "key", second, 1).Allowed {
					bySecond++
				}
				time.Sleep(20 * time.Millisecond)
			}
			most := 101
			if outage {
				most += 50 // the share of the node with the old limit
			}
			if byDay > most {
				t.Errorf("outage %v: 100/d admitted %d requests; want at most %d", outage, byDay, most)
			}
			if bySecond < 40 {
				t.Errorf("outage %v: 50/s admitted %d requests", outage, bySecond)
			}
			t.Logf("outage %v: 100/d admitted %d, 50/s %d", outage, byDay, bySecond)
		})
	}
}
