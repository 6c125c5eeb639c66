package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
)

// called returns the name of a server as a part.
func (s *Store) called(server *redis.Client) string {
	if s.lanes.server == nil {
		return "redis"
	}
	return partName(server)
}

// prove makes decisions on one server. Its key is one that falls to it.
func (s *Store) prove(ctx context.Context, server *redis.Client) ratelimit.PartHealth {
	part := ratelimit.PartHealth{Name: s.called(server)}
	key := "probe " + rand.Text()
	if s.lanes.server != nil {
		// Of a server without slots nothing can be asked, which is no fault of it.
		for tries := 0; !s.falls(ctx, key, server); tries++ {
			if tries == 10_000 {
				part.OK = true
				return part
			}
			key = "probe " + rand.Text()
		}
	}
	err := ratelimit.ProveKey(ctx, proof{s}, key, s.timeout())
	if err == nil && s.oneServer {
		err = s.proveTogether(ctx)
	}
	if err != nil {
		part.Class = ratelimit.ErrorClass(failure(err))
		return part
	}
	part.OK, part.Proved = true, time.Now()
	return part
}

// A proof is the store for decisions that no caller has asked for: their time says
// nothing about how long callers wait.
type proof struct{ *Store }

func (p proof) Take(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	return p.take(ctx, r)
}

// manyKeys is how many keys a batch of a proof has: a client that knows one of two
// nodes of a Cluster is found out but once in 2^32 checks.
const manyKeys = 32

// proveTogether looks at buckets of several keys in one batch, as decisions are made
// under load: alone each may be well where together they are not. It writes nothing.
func (s *Store) proveTogether(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	calls := make([]*call, manyKeys)
	for i := range calls {
		key := "probe " + rand.Text()
		calls[i] = s.desk.call(ctx, ratelimit.Request{Key: key, Policy: s.look, Timeout: s.timeout()}, s.names.tag(key))
		calls[i].board()
	}
	s.lanes.one.trip(ctx, calls)
	var faults error
	for _, c := range calls {
		if _, err := c.outcome(); err != nil {
			faults = err
		}
	}
	return faults
}

// falls tells whether a key's buckets are on a server.
func (s *Store) falls(ctx context.Context, key string, server *redis.Client) bool {
	on, err := s.lanes.server(ctx, s.names.tag(key))
	return err != nil || address(on) == address(server)
}

// evicts returns a warning if a server may drop buckets, which would be full again.
func (s *Store) evicts(ctx context.Context, server *redis.Client) string {
	if server == nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	info, err := server.Info(ctx, "memory").Result()
	if err != nil {
		return "does not tell its eviction policy: INFO failed"
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
