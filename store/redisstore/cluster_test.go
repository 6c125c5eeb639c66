package redisstore

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// A topology says to a ClusterClient which server has which half of the slots. The servers
// do not know it.
type topology struct {
	halves [2]atomic.Pointer[server]
	asked  atomic.Int64
}

func (p *topology) slots(context.Context) ([]redis.ClusterSlot, error) {
	p.asked.Add(1)
	return []redis.ClusterSlot{
		{Start: 0, End: 8191, Nodes: []redis.ClusterNode{{Addr: p.halves[0].Load().address}}},
		{Start: 8192, End: 16383, Nodes: []redis.ClusterNode{{Addr: p.halves[1].Load().address}}},
	}, nil
}

// TestHungShard: while one of several servers hangs, decisions on the others are neither
// held up nor lost. When its slots have moved, their decisions are made on the new server.
// The topology is asked for at most four times a second.
func TestHungShard(t *testing.T) {
	servers := [2]*server{startRedis(t), startRedis(t)}
	var top topology
	top.halves[0].Store(servers[0])
	top.halves[1].Store(servers[1])
	const d = 200 * time.Millisecond // for slow machines
	client := redis.NewClusterClient(&redis.ClusterOptions{
		ClusterSlots: top.slots, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 20, MaxActiveConns: 20,
		ReadTimeout: d, WriteTimeout: d, DialTimeout: d, PoolTimeout: d,
	})
	defer client.Close()
	s := newStore(t, client, Config{})
	p := policy(t, ratelimit.PerHour(1_000_000))
	half := func(key string) int {
		node, err := client.MasterForKey(t.Context(), s.names.tag(key))
		if err != nil {
			t.Fatal(err)
		}
		// The client has removed the host, because it is a loopback address.
		_, port, _ := net.SplitHostPort(node.Options().Addr)
		if strings.HasSuffix(servers[0].address, ":"+port) {
			return 0
		}
		return 1
	}
	var keys [2][]string
	for i := 0; i < 100_000 && min(len(keys[0]), len(keys[1])) < 50; i++ {
		key := fmt.Sprint(i)
		keys[half(key)] = append(keys[half(key)], key)
	}
	stalls := testkit.WatchStalls(t)
	// load calls for a while, on 32 goroutines for each half, and returns the outcomes. A
	// call that timed out while the machine stalled proves nothing and counts as spoilt, not
	// as failed; then the half of servers[0] goes on until it has decided enough.
	type outcome struct {
		decided, failed, spoilt int
		slowest                 time.Duration
		classes                 map[string]bool
	}
	load := func(during time.Duration) (result [2]outcome) {
		var wg sync.WaitGroup
		var mu sync.Mutex
		end := time.Now().Add(during)
		few := func(h int) bool {
			mu.Lock()
			defer mu.Unlock()
			return h == 0 && result[0].decided < 100 && result[0].failed == 0 && time.Since(end) < patience
		}
		for i := range 64 {
			wg.Go(func() {
				h := i % 2
				for n := i; n == i || time.Now().Before(end) || few(h); n++ {
					start := time.Now()
					_, err := s.Take(t.Context(), store.Request{Key: keys[h][n%50], Limits: p, Cost: 1, Timeout: d})
					took := time.Since(start)
					stalled := stalls.Worst(start, time.Now()) > d/8
					mu.Lock()
					r := &result[h]
					if err != nil {
						if class := store.ErrorClass(err); stalled && class == store.ClassTimeout {
							r.spoilt++
						} else {
							r.failed++
						}
						if r.classes == nil {
							r.classes = map[string]bool{}
						}
						r.classes[store.ErrorClass(err)] = true
					} else {
						r.decided++
					}
					r.slowest = max(r.slowest, took)
					mu.Unlock()
					time.Sleep(time.Millisecond)
				}
			})
		}
		wg.Wait()
		return result
	}
	well := load(200 * time.Millisecond)
	if well[0].failed+well[1].failed > 0 || well[0].decided < 100 || well[1].decided == 0 {
		t.Fatalf("before the fault: %+v", well)
	}
	servers[1].pause(t)
	asked, start := top.asked.Load(), time.Now()
	hung := load(4 * d)
	asked = top.asked.Load() - asked
	if hung[1].decided > 0 || hung[1].failed+hung[1].spoilt < 32 {
		t.Errorf("the server that hangs: %+v", hung[1])
	}
	if hung[0].failed > 0 || hung[0].decided < 100 {
		t.Errorf("the server that does not hang: %+v", hung[0])
	}
	if limit := stalls.Widen(d+20*time.Millisecond, start); hung[1].slowest > limit {
		t.Errorf("the slowest call took %v; want %v at most", hung[1].slowest, limit)
	}
	if most := int64(time.Since(start)/reloadEvery) + 1; asked < 1 || asked > most {
		t.Errorf("the topology was asked for %d times; want 1 to %d", asked, most)
	}
	t.Logf("well %+v, hung %+v, topology asked for %d times", well, hung, asked)

	// A replica takes over.
	top.halves[1].Store(servers[0])
	err := wellWithin(patience, func() error {
		_, err := s.Take(t.Context(), store.Request{Key: keys[1][0], Limits: p, Cost: 1, Timeout: d})
		return err
	})
	if err != nil {
		t.Errorf("after the slots have moved: %v", err)
	}
	if after := load(100 * time.Millisecond); after[0].failed+after[1].failed > 0 {
		t.Errorf("after the slots have moved: %+v", after)
	}
}

// TestFirstDecisionOfMany: when the topology is not known yet, many callers at once
// ask for it once.
func TestFirstDecisionOfMany(t *testing.T) {
	server := startRedis(t)
	var top topology
	top.halves[0].Store(server)
	top.halves[1].Store(server)
	client := redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: top.slots, ContextTimeoutEnabled: true})
	defer client.Close()
	s := newStore(t, client, Config{})
	if n := top.asked.Load(); n != 0 {
		t.Errorf("New has asked for the topology")
	}
	p := policy(t, ratelimit.PerHour(10))
	key := func(i int) string { return fmt.Sprint(i % 10) }
	if n := admit(t, s, p, time.Second, key); n != 100 {
		t.Errorf("%d calls were admitted by 10 bursts of 10", n)
	}
	if n := top.asked.Load(); n > maxSends {
		t.Errorf("the topology was asked for %d times; want at most once by each send", n)
	}
}
