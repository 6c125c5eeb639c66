package redisstore

import (
	"context"
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
			class = ratelimit.ErrorClass(failure(err))
			if isReply(err, isNoCluster) {
				h.Warnings = append(h.Warnings, errNoCluster.Error())
			}
		}
		h.Status, h.Parts = ratelimit.StatusFailed, []ratelimit.PartHealth{{Name: "redis", Class: class}}
		return h
	}
	h.Parts = make([]ratelimit.PartHealth, len(servers))
	warnings := make([]string, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		h.Parts[i] = ratelimit.PartHealth{Name: s.called(server), Class: ratelimit.ClassPanic} // if the client ends the goroutine
		wg.Go(func() {
			defer func() { _ = recover() }()
			part := s.prove(ctx, server)
			if part.OK {
				warnings[i] = s.evicts(ctx, server)
			}
			h.Parts[i] = part
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
	h.Warnings = append(h.Warnings, s.warnings()...)
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
func (s *Store) servers(ctx context.Context) (all []*redis.Client, err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	var mu sync.Mutex
	add := func(_ context.Context, server *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, server)
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout())
	defer cancel()
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

// warnings returns what an operator should know of the whole store.
func (s *Store) warnings() []string {
	var all []string
	if s.slots.moved.Load() != nil {
		all = append(all, errNode.Error())
	}
	if s.slots.split.Load() {
		all = append(all, "redis keeps its keys in hash slots behind one address (CROSSSLOT): calls of several API keys still share trips, but each has a script call of its own, which costs Redis more")
	}
	if warning := s.warnTimeouts(); warning != "" {
		all = append(all, warning)
	}
	if n := s.foreign.Load(); n > 0 {
		all = append(all, fmt.Sprintf("%d values in Redis were not of this package, and have been overwritten: does somebody else use the prefix?", n))
	}
	return all
}
