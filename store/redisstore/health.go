package redisstore

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/ratelimit"
)

// Check implements [ratelimit.Checker]: it makes real decisions on every server that
// keeps buckets, and looks whether they are right. A ping would prove nothing: Redis
// answers it while it can decide nothing, for want of a right, memory or a replica.
// Each step of the proof takes as long as a decision may, at most.
//
// It warns of a server that may evict buckets, and of foreign values.
func (s *Store) Check(ctx context.Context) ratelimit.Health {
	var h ratelimit.Health
	servers, err := s.servers(ctx)
	if err != nil || len(servers) == 0 {
		class := ClassConnect // a Ring without a shard
		if err != nil {
			class, _ = classify(err)
		}
		h.Status, h.Parts = ratelimit.StatusFailed, []ratelimit.PartHealth{{Name: "redis", Class: class}}
		return h
	}
	h.Parts = make([]ratelimit.PartHealth, len(servers))
	warnings := make([]string, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() {
			h.Parts[i] = s.prove(ctx, server)
			if h.Parts[i].OK {
				warnings[i] = s.evicts(ctx, server)
			}
		})
	}
	wg.Wait()
	well := 0
	for i := range h.Parts {
		if h.Parts[i].OK {
			well++
		}
		if warnings[i] != "" {
			h.Warnings = append(h.Warnings, h.Parts[i].Name+" "+warnings[i])
		}
	}
	if n := s.foreign.Load(); n > 0 {
		h.Warnings = append(h.Warnings, fmt.Sprintf("%d values in Redis were not of this package, and have been overwritten: does somebody else use the prefix?", n))
	}
	switch well {
	case len(servers):
		h.Status = ratelimit.StatusOK
	case 0:
		h.Status = ratelimit.StatusFailed
		return h
	default:
		h.Status = ratelimit.StatusDegraded
	}
	h.Decides = "redis"
	return h
}

// timeout returns how long one step may take: what decisions were given, or what they
// are given if nobody says otherwise.
func (s *Store) timeout() time.Duration {
	return max(time.Duration(s.longest.Load()), ratelimit.DefaultTimeout)
}

// servers returns those that keep buckets, as far as the client knows.
func (s *Store) servers(ctx context.Context) ([]*redis.Client, error) {
	var mu sync.Mutex
	var all []*redis.Client
	add := func(_ context.Context, server *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, server)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
	var err error
	switch client := s.client.(type) {
	case *redis.Client:
		all = []*redis.Client{client}
	case *redis.ClusterClient:
		err = client.ForEachMaster(ctx, add)
	case *redis.Ring:
		err = client.ForEachShard(ctx, add)
	default:
		all = []*redis.Client{nil} // proved as whatever it is
	}
	slices.SortFunc(all, func(a, b *redis.Client) int { return strings.Compare(address(a), address(b)) })
	return all, err
}

// prove makes decisions on one server. Its key is one that falls to it.
func (s *Store) prove(ctx context.Context, server *redis.Client) ratelimit.PartHealth {
	part := ratelimit.PartHealth{Name: "redis"}
	key := "probe " + rand.Text()
	if s.lanes.server != nil {
		part.Name = partName(server)
		// Of a server without slots nothing can be asked, which is no fault of it.
		for tries := 0; !s.falls(ctx, key, server); tries++ {
			if tries == 10_000 {
				part.OK = true
				return part
			}
			key = "probe " + rand.Text()
		}
	}
	if err := ratelimit.ProveKey(ctx, s, key, s.timeout()); err != nil {
		part.Class = ratelimit.ErrorClass(failure(err))
		return part
	}
	part.OK, part.Proved = true, time.Now()
	return part
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
