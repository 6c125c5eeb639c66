package chaos_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
)

// patience is the timeout of tests that check answers, not their time.
const patience = 10 * time.Second

// patientClient returns a client as redisstore.NewClient makes it, but with long timeouts
// for a busy machine.
func patientClient(t testing.TB, at any) redis.UniversalClient {
	t.Helper()
	o := &redis.UniversalOptions{
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1, PoolSize: 20, MaxActiveConns: 20,
		ReadTimeout: patience, WriteTimeout: patience, DialTimeout: patience, PoolTimeout: patience,
	}
	addrs := func(servers []*chaos.Server) {
		for _, s := range servers {
			o.Addrs = append(o.Addrs, s.Addr)
		}
	}
	switch at := at.(type) {
	case string:
		o.Addrs = []string{at}
	case *chaos.Server:
		o.Addrs = []string{at.Addr}
	case *chaos.Proxy:
		o.Addrs = []string{at.Addr}
	case *chaos.Sentinel:
		o.MasterName = "mymaster"
		addrs(at.Sentinels)
	case *chaos.Cluster:
		o.IsClusterMode = true
		addrs(at.Nodes)
	default:
		t.Fatalf("a %T has no address", at)
	}
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func patientStore(t testing.TB, at any) *redisstore.Store {
	t.Helper()
	return newStore(t, patientClient(t, at), redisstore.Config{})
}
