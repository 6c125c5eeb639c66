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

// Test64Callers: with one key and a high limit there are no errors and no denials, and each
// call is charged once.
func Test64Callers(t *testing.T) {
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
	if r := ask(t, l, "k", 0); r.Remaining() < 1_000_000-6400 || r.Remaining() > 1_000_000-6400+1000 {
		t.Errorf("after 6400 calls %d of a million tokens remain", r.Remaining())
	}
}

// TestConnections: 200 concurrent callers open at most as many connections as the pool has,
// with 200 decisions and with thousands.
func TestConnections(t *testing.T) {
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

// TestLatency: with 128 keys and a round trip of 1 ms, decisions are concurrent. A lock held
// during a trip would limit them to a thousand per second.
func TestLatency(t *testing.T) {
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
		t.Errorf("%d decisions took %v; one after the other they would take %v, and the pool has 20 connections", callers*calls, took, serial)
	}
}

// TestManyKeys: buckets expire, so random keys take no more memory than those of one
// refill.
func TestManyKeys(t *testing.T) {
	server := chaos.StartServer(t)
	l := door(t, server, ratelimit.PerSecond(1))
	before := server.Info("used_memory")
	const keys = 50_000
	var callers sync.WaitGroup
	for c := range 64 {
		callers.Go(func() {
			for i := c; i < keys; i += 64 {
				ask(t, l, fmt.Sprint("random ", i), 1)
			}
		})
	}
	callers.Wait()
	full := server.Info("used_memory")
	most, _ := server.Do("DBSIZE").(int64)
	chaos.Until(t, 10*time.Second, "all buckets have expired", func() bool { return server.Do("DBSIZE") == int64(0) })
	t.Logf("%d keys: %d buckets at once; memory %s, %s, %s", keys, most, before, full, server.Info("used_memory"))
	if most < 1000 {
		t.Errorf("%d buckets at once: too few for a proof", most)
	}
}
