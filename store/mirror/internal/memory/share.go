package memory

import (
	"sync"

	"github.com/keyrate/keyrate/store"
)

// shares are this node's shares of the limits of requests.
type shares struct {
	nodes int
	mu    sync.RWMutex
	known map[*store.Limit][]store.Limit // by the first limit of the request
}

// maxShares bounds how many are kept: a program may make new policies for each request.
const maxShares = 1024

// of returns this node's share of each limit.
func (s *shares) of(limits []store.Limit) []store.Limit {
	if s.nodes == 1 {
		return limits
	}
	s.mu.RLock()
	part := s.known[&limits[0]]
	s.mu.RUnlock()
	if len(part) == len(limits) {
		return part
	}
	part = make([]store.Limit, len(limits))
	for i := range limits {
		part[i] = limits[i].Share(s.nodes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) == maxShares {
		s.known = make(map[*store.Limit][]store.Limit)
	}
	s.known[&limits[0]] = part
	return part
}
