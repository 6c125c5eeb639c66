package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store"
)

// probe makes decisions on one server and reports how they went.
func (s *Store) probe(ctx context.Context, server *redis.Client) store.PartHealth {
	part := store.PartHealth{Name: s.servers.part(server)}
	key := "probe " + rand.Text()
	if s.servers.find != nil {
		for tries := 0; !s.has(ctx, server, key); tries++ {
			if tries == 10_000 { // a server without slots is well
				part.OK = true
				return part
			}
			key = "probe " + rand.Text()
		}
	}
	err := store.Probe(ctx, prober{s}, key, s.timeout())
	if err == nil && s.oneServer {
		err = s.probeBatch(ctx)
	}
	if err != nil {
		part.Class = store.ErrorClass(failure(err))
		return part
	}
	part.OK, part.Proved = true, time.Now()
	return part
}

// has reports whether a server has the buckets of a key.
func (s *Store) has(ctx context.Context, server *redis.Client, key string) bool {
	on, err := s.servers.find(ctx, s.names.tag(key))
	return err != nil || address(on) == address(server)
}

// A prober is the store for decisions that no caller has asked for: their Timeout does
// not count as one of a limiter.
type prober struct{ *Store }

func (p prober) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	return p.take(ctx, r)
}

// manyKeys is the number of keys in the batch of a probe: a client that knows one of two
// nodes of a Cluster passes once in 2^32 probes.
const manyKeys = 32

// probeBatch reads buckets of several keys in one batch, as decisions are made under load:
// each alone may be well where a batch is not. It writes nothing.
func (s *Store) probeBatch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	calls := make([]*call, manyKeys)
	for i := range calls {
		key := "probe " + rand.Text()
		calls[i] = newCall(ctx, &s.calls, store.Request{Key: key, Limits: s.probes, Timeout: s.timeout()}, s.names.owner("", key))
		calls[i].claim()
	}
	s.servers.one.deliver(ctx, calls)
	var faults error
	for _, c := range calls {
		if o := c.outcome(); o.err != nil {
			faults = o.err
		}
	}
	return faults
}

// evicts returns a warning if a server may drop buckets, which makes them full.
func (s *Store) evicts(ctx context.Context, server *redis.Client) string {
	if server == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	info, err := server.Info(ctx, "memory").Result()
	if err != nil {
		return "does not report its eviction policy: INFO failed"
	}
	memory, policy := "", ""
	for line := range strings.Lines(info) {
		switch name, value, _ := strings.Cut(strings.TrimSpace(line), ":"); name {
		case "maxmemory":
			memory = value
		case "maxmemory_policy":
			policy = value
		}
	}
	if memory == "" || memory == "0" || policy == "noeviction" {
		return ""
	}
	return fmt.Sprintf("may evict buckets, which are full again then: maxmemory-policy is %.20q; set noeviction", policy)
}
