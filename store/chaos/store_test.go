package chaos_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/chaos"
	"github.com/keyrate/keyrate/store/redisstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// newClient returns a client with the default timeout of 50 ms.
func newClient(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	client, err := redisstore.NewClient(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newStore(t testing.TB, client redis.UniversalClient, c redisstore.Config) *redisstore.Store {
	t.Helper()
	backend, err := redisstore.New(client, c)
	if err != nil {
		t.Fatal(err)
	}
	return backend
}

// storeAt returns a store on a server, a Sentinel, a Cluster or a proxy.
func storeAt(t testing.TB, at interface{ URL() string }) *redisstore.Store {
	t.Helper()
	return newStore(t, newClient(t, at.URL()), redisstore.Config{})
}

// newClock returns a clock for the scripts of redisstore.
func newClock(t testing.TB) *chaos.Clock {
	t.Helper()
	return chaos.NewClock(t, "../redisstore/usual.lua+../redisstore/bucket.lua+../redisstore/take.lua", "../redisstore/reset.lua")
}

func policyOf(t testing.TB, limits ...ratelimit.Limit) []store.Limit {
	t.Helper()
	return testkit.Limits(t, limits...)
}

// seedOf returns the seed of a random test, and prints it.
func seedOf(t testing.TB) uint64 {
	t.Helper()
	seed, err := storetest.Seed()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("KEYRATE_SEED=%#x", seed)
	return seed
}
