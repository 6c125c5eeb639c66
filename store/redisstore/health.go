package redisstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/keyrate/keyrate/store"
)

// Check implements [store.Checker]. It makes decisions on every server that keeps
// buckets, and reports whether they are right. A ping would prove nothing: Redis answers
// it even while it lacks a right, memory or a replica and can decide nothing. Each step
// takes at most as long as a decision may.
//
// Check warns of a server that may evict buckets, of foreign values, and of settings that
// do not fit together.
func (s *Store) Check(ctx context.Context) store.Health {
	var h store.Health
	listing, cancel := context.WithTimeout(ctx, s.timeout())
	servers, err := s.servers.all(listing)
	cancel()
	if err != nil || len(servers) == 0 {
		class := ClassConnect // a Ring without a shard
		if err != nil {
			class = store.ErrorClass(failure(err))
			if isNoCluster(err) {
				h.Warnings = append(h.Warnings, errNoCluster.Error())
			}
		}
		h.Status, h.Parts = store.StatusFailed, []store.PartHealth{{Name: "redis", Class: class}}
		return h
	}
	h.Parts = make([]store.PartHealth, len(servers))
	warnings := make([]string, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		h.Parts[i] = store.PartHealth{Name: s.servers.part(server), Class: store.ClassPanic} // stays if a hook ends the goroutine
		wg.Go(func() {
			_ = store.Try(func() {
				part := s.probe(ctx, server)
				if part.OK {
					warnings[i] = s.evicts(ctx, server)
				}
				h.Parts[i] = part
			})
		})
	}
	wg.Wait()
	healthy := 0
	for i := range h.Parts {
		if h.Parts[i].OK {
			healthy++
		}
		if warnings[i] != "" {
			h.Warnings = append(h.Warnings, h.Parts[i].Name+" "+warnings[i])
		}
	}
	h.Warnings = append(h.Warnings, s.warnings()...)
	switch healthy {
	case len(servers):
		h.Status = store.StatusOK
	case 0:
		h.Status = store.StatusFailed
		return h
	default:
		h.Status = store.StatusDegraded
	}
	h.Decides = "redis"
	return h
}

// warnings returns what an operator should know about the store as a whole.
func (s *Store) warnings() []string {
	var all []string
	if s.slots.moved.Load() != nil {
		all = append(all, errNode.Error())
	}
	if s.slots.split.Load() {
		all = append(all, "redis keeps its keys in hash slots behind one address (CROSSSLOT): calls for several API keys still share round trips, but each API key has a script call of its own, which costs Redis more")
	}
	if warning := s.warnTimeouts(); warning != "" {
		all = append(all, warning)
	}
	if n := s.foreign.Load(); n > 0 {
		all = append(all, fmt.Sprintf("%d values in Redis were not written by this package, and have been overwritten: does another program use the prefix?", n))
	}
	return all
}
