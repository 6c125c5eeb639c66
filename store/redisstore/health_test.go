package redisstore

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
)

// TestCheck: Check makes decisions on every server that keeps buckets, and warns of
// settings that may lose them.
func TestCheck(t *testing.T) {
	servers := [2]*server{startRedis(t), startRedis(t)}
	var top topology
	top.halves[0].Store(servers[0])
	top.halves[1].Store(servers[1])
	cluster := redis.NewClusterClient(&redis.ClusterOptions{ClusterSlots: top.slots, ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1})
	ring := redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": servers[0].address, "b": servers[1].address}, ContextTimeoutEnabled: true})
	type wrapped struct{ redis.UniversalClient }
	one := patient(t, servers[0].address)
	for _, test := range []struct {
		name   string
		client redis.UniversalClient
		parts  int
		hung   store.Status // when the second server hangs
	}{
		{"Client", one, 1, store.StatusOK},
		{"ClusterClient", cluster, 2, store.StatusDegraded},
		{"Ring", ring, 2, store.StatusDegraded},
		{"wrapped", wrapped{one}, 1, store.StatusOK},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if test.name != "wrapped" {
					test.client.Close()
				}
			}()
			if test.name == "Client" {
				test.client = patient(t, servers[0].address)
			}
			s := newStore(t, test.client, Config{TrustClient: true})
			l, err := ratelimit.New(s, ratelimit.PerSecond(5), ratelimit.Config{})
			if err != nil {
				t.Fatal(err)
			}
			var h store.Health
			until := func(want store.Status) {
				t.Helper()
				// On a machine that stalls a probe may time out.
				_ = wellWithin(patience, func() error {
					if h = l.Check(t.Context()); h.Status != want {
						return redisError("not yet")
					}
					return nil
				})
				if h.Status != want || len(h.Parts) != test.parts {
					t.Errorf("%+v; want %s of %d parts", h, want, test.parts)
				}
			}
			until(store.StatusOK)
			if h.Decides != "redis" || len(h.Warnings) != 0 || h.Parts[0].Proved.IsZero() {
				t.Errorf("%+v", h)
			}

			servers[0].do(t, "config", "set", "maxmemory", "100mb")
			servers[0].do(t, "config", "set", "maxmemory-policy", "volatile-lru")
			until(store.StatusOK)
			if got := strings.Join(h.Warnings, "; "); test.name != "wrapped" && (!strings.Contains(got, "volatile-lru") || strings.Count(got, "may evict") != 1) {
				t.Errorf("the warnings are %q; want one of volatile-lru", got)
			}
			servers[0].do(t, "config", "set", "maxmemory", "0")
			servers[0].do(t, "config", "set", "maxmemory-policy", "noeviction")

			servers[1].pause(t)
			until(test.hung)
			if test.hung == store.StatusDegraded {
				healthy, hung := h.Parts[0], h.Parts[1]
				if !healthy.OK {
					healthy, hung = hung, healthy
				}
				if !healthy.OK || hung.OK || hung.Class != store.ClassTimeout || healthy.Name == hung.Name || h.Decides != "redis" {
					t.Errorf("%+v", h)
				}
			}
			servers[1].resume(t)
			until(store.StatusOK)

			servers[0].do(t, "acl", "setuser", "default", "-time")
			servers[1].do(t, "acl", "setuser", "default", "-time")
			until(store.StatusFailed)
			for _, part := range h.Parts {
				if part.Class != ClassAccess {
					t.Errorf("%+v; want class access", part)
				}
			}
			servers[0].do(t, "acl", "setuser", "default", "+time")
			servers[1].do(t, "acl", "setuser", "default", "+time")
			until(store.StatusOK)
		})
	}
}

// TestCheckCountsForeign: Check warns of foreign values.
func TestCheckCountsForeign(t *testing.T) {
	server := startRedis(t)
	s := newStore(t, patient(t, server.address), Config{})
	p := policy(t, ratelimit.PerHour(1))
	server.do(t, "set", s.names.owner("", "k").bucket(&p[0]), "not ours")
	if _, err := s.Take(t.Context(), store.Request{Key: "k", Limits: p, Cost: 1, Timeout: patience}); err != nil {
		t.Fatal(err)
	}
	if h := s.Check(t.Context()); len(h.Warnings) != 1 || !strings.HasPrefix(h.Warnings[0], "1 values") {
		t.Errorf("%+v; want a warning of one foreign value", h)
	}
}

// TestCheckNoServer: without a server nothing decides, and the part has a class.
func TestCheckNoServer(t *testing.T) {
	for _, url := range []string{"redis://" + freeAddress(t), "redis://" + freeAddress(t) + "?cluster=true"} {
		client, err := NewClient(url)
		if err != nil {
			t.Fatal(err)
		}
		s := newStore(t, client, Config{})
		h := s.Check(t.Context())
		if h.Status != store.StatusFailed || len(h.Parts) != 1 || h.Parts[0].Class != ClassConnect || h.Decides != "" {
			t.Errorf("%s: %+v; want class connect", url, h)
		}
		client.Close()
	}
}
