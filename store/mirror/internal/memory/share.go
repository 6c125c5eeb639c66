package memory

import (
	"sync"

	"github.com/keyrate/keyrate/store"
)

// shares are this node's shares of the limits of requests.
type shares struct {
	mu    sync.RWMutex
	nodes int
	known map[*store.Limit][]store.Limit // by the first of the limits, which never change
}

// maxShares bounds how many are kept: a program may make new limits for each request.
const maxShares = 1024

// of returns this node's shares of the limits: see [gcra.Rate.Share].
func (s *shares) of(limits []store.Limit) []store.Limit {
	first, n := &limits[0], len(limits)
	s.mu.RLock()
	nodes, known := s.nodes, s.known[first]
	s.mu.RUnlock()
	if nodes == 1 {
		return limits
	}
	if len(known) >= n {
		return known[:n]
	}
	var parts []store.Limit
	for i := range limits {
		part := limits[i]
		part.Rate = part.Share(nodes)
		parts = append(parts, part)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes != nodes {
		return parts // the last ones of this number
	}
	if s.known == nil || len(s.known) == maxShares {
		s.known = make(map[*store.Limit][]store.Limit)
	}
	s.known[first] = parts
	return parts
}

// set makes the shares those of another number of nodes.
func (s *shares) set(nodes int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nodes != nodes {
		s.nodes, s.known = nodes, nil
	}
}
