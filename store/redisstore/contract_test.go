package redisstore

import (
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/storetest"
)

// epoch is where steered clocks start: early enough that the centuries of the contract's
// histories fit into the 2^53 microseconds of a script.
var epoch = time.Unix(1_000_000_000, 0)

// patience is a timeout for servers that may be slow.
const patience = 10 * time.Second

// patient returns a client with long timeouts, for an emulation in Go or for tests with
// the race detector.
func patient(t testing.TB, address string) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Addr:                  address,
		ContextTimeoutEnabled: true,
		MaxRetries:            -1,
		ReadTimeout:           patience,
		WriteTimeout:          patience,
		PoolTimeout:           patience,
	})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newStore(t testing.TB, client redis.UniversalClient, c Config) *Store {
	t.Helper()
	s, err := New(client, c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// admit makes 300 calls at once, the ith with key(i), and returns how many were
// admitted. An error fails the test.
func admit(t *testing.T, s *Store, p []store.Limit, timeout time.Duration, key func(i int) string) int64 {
	t.Helper()
	var wg sync.WaitGroup
	var admitted atomic.Int64
	for i := range 300 {
		wg.Go(func() {
			d, err := s.Take(t.Context(), store.Request{Key: key(i), Limits: p, Cost: 1, Timeout: timeout})
			if err != nil {
				t.Error(err)
			}
			if d.Allowed {
				admitted.Add(1)
			}
		})
	}
	wg.Wait()
	return admitted.Load()
}

func TestContractOnMiniredis(t *testing.T) {
	testkit.Long(t, "takes ten seconds of CPU")
	server := miniredis.RunT(t)
	client := patient(t, server.Addr())
	now := epoch
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) store.Store {
			server.FlushAll()
			now = epoch
			server.SetTime(now)
			return newStore(t, client, Config{})
		},
		Advance: func(_ *testing.T, d time.Duration) {
			now = now.Add(d)
			server.SetTime(now)
			server.FastForward(d)
		},
		BriefReset: true,
		Histories:  emulated(),
		SetBack: func(_ *testing.T, d time.Duration) {
			now = now.Add(-d)
			server.SetTime(now)
		},
	})
}

// emulated returns the number of histories for the emulation, which is a hundred times
// slower than Redis under the race detector.
func emulated() int {
	if raceEnabled {
		return 5
	}
	return 30
}

func TestContractOnRedis(t *testing.T) {
	server := startSteered(t)
	contract(t, patient(t, server.address), histories(t), server)
}

// TestContractOnCluster runs the contract on a Cluster of one node, which checks slots.
func TestContractOnCluster(t *testing.T) {
	server := startSteered(t, "--cluster-enabled", "yes")
	server.do(t, addSlots(0, 16384)...)
	for at := epoch; server.info(t, "cluster", "cluster_enabled") == "1"; time.Sleep(10 * time.Millisecond) {
		if at = at.Add(time.Second); at.After(epoch.Add(time.Hour)) {
			t.Fatal("the Cluster does not get ready")
		}
		server.setClock(t, at)
		if err := server.admin.Set(t.Context(), "ready", 1, 0).Err(); err == nil {
			break
		}
	}
	o := patience
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.address}, ContextTimeoutEnabled: true,
		ReadTimeout: o, WriteTimeout: o, PoolTimeout: o})
	defer client.Close()
	contract(t, client, 30, server)
	if n := server.calls(t, "command"); n > 0 {
		t.Errorf("COMMAND was called %d times; it delays decisions", n)
	}
}

// TestContractOnRing runs the contract on two servers.
func TestContractOnRing(t *testing.T) {
	one := startSteered(t)
	other := one.twin(t)
	client := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"one": one.address, "other": other.address}, ContextTimeoutEnabled: true,
		ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience, HeartbeatFrequency: time.Hour})
	defer client.Close()
	contract(t, client, 30, one, other)
	for _, s := range []*server{one, other} {
		if n := s.calls(t, "evalsha"); n < 100 {
			t.Errorf("one of two servers made %d decisions", n)
		}
	}
}

// contract runs the contract on servers with the clock of the first.
func contract(t *testing.T, client redis.UniversalClient, histories int, servers ...*server) {
	now := epoch
	set := func(t *testing.T, at time.Time) {
		now = at
		servers[0].setClock(t, now)
	}
	storetest.Run(t, storetest.Harness{
		New: func(t *testing.T) store.Store {
			for _, s := range servers {
				s.do(t, "flushall")
			}
			set(t, epoch)
			return newStore(t, client, Config{})
		},
		Advance:    func(t *testing.T, d time.Duration) { set(t, now.Add(d)) },
		SetBack:    func(t *testing.T, d time.Duration) { set(t, now.Add(-d)) },
		BriefReset: true,
		Histories:  histories,
	})
}

// histories returns the number of random histories that are compared with the model: that
// of KEYRATE_REDIS_HISTORIES, or 100.
func histories(t testing.TB) int {
	text := os.Getenv("KEYRATE_REDIS_HISTORIES")
	if text == "" {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("KEYRATE_REDIS_HISTORIES %q must be a number", text)
	}
	return n
}
