package redisstore

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestPartition: the part of a key is "" with one server, and its shard with a Ring, after
// the first decision.
func TestPartition(t *testing.T) {
	a, b := miniredis.RunT(t).Addr(), miniredis.RunT(t).Addr()
	one := newStore(t, patient(t, a), Config{})
	if part := one.Partition("", "key"); part != "" {
		t.Errorf("with one server the part is %q", part)
	}
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": a, "b": b}, ContextTimeoutEnabled: true, MaxRetries: -1})
	t.Cleanup(func() { _ = ring.Close() })
	s := newStore(t, ring, Config{TrustClient: true})
	if part := s.Partition("", "key"); part != "" {
		t.Errorf("before any decision the part is %q", part)
	}
	p, err := ratelimit.NewPolicy(ratelimit.PerSecond(5))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Take(t.Context(), store.Request{Key: "key", Limits: p.Compiled(), Cost: 1}); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, key := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16"} {
		seen[s.Partition("", key)] = true
	}
	if len(seen) != 2 || !seen["redis "+a] || !seen["redis "+b] {
		t.Errorf("the parts are %v; want both servers", seen)
	}
	for _, part := range s.Check(t.Context()).Parts {
		if !seen[part.Name] {
			t.Errorf("Check reports on %q, which is no part", part.Name)
		}
	}
}
