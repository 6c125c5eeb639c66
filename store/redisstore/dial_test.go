package redisstore

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// counting returns the address of a listener that counts connections and closes them.
func counting(t *testing.T) (string, *atomic.Int64) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dialed := new(atomic.Int64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			dialed.Add(1)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String(), dialed
}

// TestConstructorsDoNotDial: in every set-up nothing is dialed and nothing is logged before
// the first decision. The first decision shows that the listener counts.
func TestConstructorsDoNotDial(t *testing.T) {
	for _, test := range []struct {
		name string
		make func(address string) (redis.UniversalClient, error)
	}{
		{"one server", func(a string) (redis.UniversalClient, error) { return NewClient("redis://" + a) }},
		{"one server with TLS", func(a string) (redis.UniversalClient, error) { return NewClient("rediss://user:sesame@" + a + "/3") }},
		{"Cluster", func(a string) (redis.UniversalClient, error) { return NewClient("redis://" + a + "?cluster=true") }},
		{"Cluster, several nodes", func(a string) (redis.UniversalClient, error) { return NewClient("redis://" + a + "," + a) }},
		{"Sentinels", func(a string) (redis.UniversalClient, error) {
			return NewClient("redis://" + a + "," + a + "/0?master_name=m")
		}},
		{"distant server", func(a string) (redis.UniversalClient, error) { return NewClient("redis://" + a + "/0?timeout=1s") }},
		{"an application's", func(a string) (redis.UniversalClient, error) {
			return FromClient(redis.NewClient(&redis.Options{Addr: a}))
		}},
		{"an application's, of a Cluster", func(a string) (redis.UniversalClient, error) {
			return FromClient(redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{a}}))
		}},
		{"an application's, of Sentinels", func(a string) (redis.UniversalClient, error) {
			return FromClient(redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "m", SentinelAddrs: []string{a}}))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			address, dialed := counting(t)
			logged.Lock()
			before := logged.Len()
			logged.Unlock()
			client, err := test.make(address)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			s := newStore(t, client, Config{})
			p := policy(t, ratelimit.PerHour(1))
			logged.Lock()
			said := logged.String()[before:]
			logged.Unlock()
			if n := dialed.Load(); n != 0 || strings.Contains(said, address) {
				t.Errorf("%d connections, and the log says %q, before the first decision", n, said)
			}
			_, err = s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Timeout: patience})
			if err == nil || dialed.Load() == 0 {
				t.Errorf("the first decision: %d connections, %v; want an error, since the server hangs up", dialed.Load(), err)
			}
		})
	}
}
