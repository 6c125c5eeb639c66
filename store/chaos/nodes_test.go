package chaos_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/chaos"
)

// Eight processes call for twenty keys at one Redis.
const (
	manyNodes   = 8
	manyKeys    = 20
	manySeconds = 10
)

var manyLimit = ratelimit.PerSecond(50)

// TestManyNodes: together they are admitted as much as one alone.
func TestManyNodes(t *testing.T) {
	windows, reports := callFromManyNodes(t, manySeconds*time.Second, func(int, *node) {})
	wantIdeal(t, windows, reports)
}

// TestManyNodesAnHourApart: the same with clocks that are an hour apart, in the year 2000.
func TestManyNodesAnHourApart(t *testing.T) {
	windows, reports := callFromManyNodes(t, manySeconds*time.Second, anHourApart)
	wantIdeal(t, windows, reports)
	wantHoursApart(t, reports)
}

// TestManyNodesFindsOutClocks is the control: the same processes decide by their own clocks.
func TestManyNodesFindsOutClocks(t *testing.T) {
	windows, reports := callFromManyNodes(t, 2*time.Second, func(i int, n *node) {
		anHourApart(i, n)
		n.Naive = true
	})
	wantHoursApart(t, reports)
	over := 0
	for _, w := range windows {
		if w.worst() > 0 {
			over++
		}
	}
	if total, ideal := totals(windows, reports); over == 0 && total*100 >= ideal*98 {
		t.Errorf("with %d of %d admitted, and no window above its bound, the fault was not found", total, ideal)
	}
}

func anHourApart(i int, n *node) { n.Bubble, n.Ahead = true, time.Duration(i)*time.Hour }

// callFromManyNodes runs the processes and returns the admitted calls by key.
func callFromManyNodes(t *testing.T, d time.Duration, change func(int, *node)) (map[string]*windows, []nodeReport) {
	t.Helper()
	seed := seedOf(t)
	server := chaos.StartServer(t)
	start := redisTime(t, patientClient(t, server)) + chaos.Patience(time.Second).Microseconds()
	all := map[string]*windows{}
	var keys []string
	for i := range manyKeys {
		keys = append(keys, fmt.Sprintf("key %d", i))
		all[keys[i]] = newWindows(manyLimit)
	}
	var nodes []node
	for i := range manyNodes {
		n := node{
			Addr: server.Addr, Limit: manyLimit, Keys: keys, Callers: 2, Every: 10 * time.Millisecond,
			Start: start, End: start + d.Microseconds(), Seed: seed + uint64(i),
		}
		change(i, &n)
		nodes = append(nodes, n)
	}
	reports := runNodes(t, nodes)
	for _, r := range reports {
		for key, calls := range r.Admitted {
			all[key].calls = append(all[key].calls, calls...)
		}
	}
	return all, reports
}

// wantIdeal fails the test if in a window of a key more was admitted than its limit permits,
// if much less was admitted in all, or if there was an error.
func wantIdeal(t *testing.T, all map[string]*windows, reports []nodeReport) {
	t.Helper()
	offered := 0
	for i, r := range reports {
		offered += r.Offered
		if len(r.Errors) > 0 {
			t.Errorf("node %d had errors: %v", i, r.Errors)
		}
	}
	for key, w := range all {
		w.check(t, key)
	}
	total, ideal := totals(all, reports)
	t.Logf("%d processes offered %d calls for %d keys: %d were admitted, %d is ideal", len(reports), offered, len(all), total, ideal)
	if total*100 < ideal*98 || total > ideal {
		t.Errorf("%d calls were admitted; want at least 98%% of %d, and not more than that", total, ideal)
	}
	if offered < 2*ideal {
		t.Errorf("%d calls were offered, to a limit that admits %d: too few for a proof", offered, ideal)
	}
}

// totals returns the number of admitted calls, and what the limits permit from the first
// call of each key to the last answer of all.
func totals(all map[string]*windows, reports []nodeReport) (total, ideal int) {
	last := int64(0)
	for _, r := range reports {
		last = max(last, r.Last)
	}
	for _, w := range all {
		w.worst() // sorts
		total += w.tokens()
		ideal += w.ideal(last)
	}
	return total, ideal
}

// wantHoursApart checks that the clocks of the processes were hours apart.
func wantHoursApart(t *testing.T, reports []nodeReport) {
	t.Helper()
	for i := 1; i < len(reports); i++ {
		if apart := reports[i].Clock.Sub(reports[i-1].Clock); apart < 59*time.Minute || reports[i].Clock.Year() != 2000 {
			t.Errorf("the clocks of nodes %d and %d were %v apart; want an hour", i-1, i, apart)
		}
	}
}
