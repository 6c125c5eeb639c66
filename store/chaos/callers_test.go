package chaos_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/chaos"
)

// TestTorture64Goroutines: one shared key, the limit far away: no errors, no denials,
// and each call is charged once.
func TestTorture64Goroutines(t *testing.T) {
	l := door(t, chaos.StartServer(t), ratelimit.PerDay(1_000_000))
	var admitted atomic.Int64
	var callers sync.WaitGroup
	for range 64 {
		callers.Go(func() {
			for range 100 {
				if ask(t, l, "k", 1).Allowed {
					admitted.Add(1)
				}
			}
		})
	}
	callers.Wait()
	wantInt(t, int(admitted.Load()), 6400)
	if r := ask(t, l, "k", 0); r.Remaining < 1_000_000-6400 || r.Remaining > 1_000_000-6400+1000 {
		t.Errorf("after 6400 calls %d of a million tokens remain", r.Remaining)
	}
}

// TestTortureConnections: 200 decisions at once open as many connections as the pool
// has, at most, and so do thousands.
func TestTortureConnections(t *testing.T) {
	proxy := chaos.StartProxy(t, chaos.StartServer(t).Addr, 1)
	l := door(t, proxy, ratelimit.PerDay(1_000_000))
	for _, each := range []int{1, 50} {
		var callers sync.WaitGroup
		for i := range 200 {
			callers.Go(func() {
				for range each {
					ask(t, l, fmt.Sprint("k", i), 1)
				}
			})
		}
		callers.Wait()
		if n := proxy.Accepted(); n == 0 || n > 20 {
			t.Errorf("%d decisions of 200 callers: %d connections; want 20, the pool, at most", 200*each, n)
		}
	}
}

// TestTortureLatency: 128 keys, and the store is 1 ms away. A lock that is held over a
// trip would make it a thousand decisions a second, one after the other.
func TestTortureLatency(t *testing.T) {
	proxy := chaos.StartProxy(t, chaos.StartServer(t).Addr, 1)
	proxy.Delay(500 * time.Microsecond)
	l := door(t, proxy, ratelimit.PerDay(1_000_000))
	ask(t, l, "warm", 1)
	start := time.Now()
	for range 10 {
		ask(t, l, "alone", 1)
	}
	trip := time.Since(start) / 10
	const callers, calls = 128, 100
	var all sync.WaitGroup
	start = time.Now()
	for i := range callers {
		all.Go(func() {
			for range calls {
				ask(t, l, fmt.Sprint("k", i), 1)
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	serial := trip * callers * calls
	t.Logf("a trip of %v; %d decisions in %v, %.0f/s", trip, callers*calls, took, callers*calls/took.Seconds())
	if trip < time.Millisecond {
		t.Errorf("a trip takes %v; the network should need 1 ms", trip)
	}
	if took > serial/20 {
		t.Errorf("%d decisions took %v; one after the other they would have taken %v, and the pool has 20 connections", callers*calls, took, serial)
	}
}

// TestTortureManyKeys: buckets end by themselves, so that made-up keys take no more
// memory than there is time to make them up in.
func TestTortureManyKeys(t *testing.T) {
	server := chaos.StartServer(t)
	l := door(t, server, ratelimit.PerSecond(1))
	before := server.Info("used_memory")
	const keys = 50_000
	var callers sync.WaitGroup
	for c := range 64 {
		callers.Go(func() {
			for i := c; i < keys; i += 64 {
				ask(t, l, fmt.Sprint("made up ", i), 1)
			}
		})
	}
	callers.Wait()
	full := server.Info("used_memory")
	most, _ := server.Do("DBSIZE").(int64)
	chaos.Until(t, 10*time.Second, "all buckets have ended", func() bool { return server.Do("DBSIZE") == int64(0) })
	t.Logf("%d keys: %d buckets at once; memory %s, %s, %s", keys, most, before, full, server.Info("used_memory"))
	if most < 1000 {
		t.Errorf("%d buckets at once: too few for a proof", most)
	}
}
