package memory

import (
	"sync"

	"github.com/keyrate/keyrate/store"
)

// shares are this node's shares of the limits of requests.
type shares struct {
	nodes int
	mu    sync.RWMutex
	known map[limits][]store.Limit
}

// limits stand for a slice of limits, which never changes.
type limits struct {
	first *store.Limit
	n     int
}

// maxShares bounds how many are kept: a program may make new limits for each request.
const maxShares = 1024

// of returns this node's shares of the limits: see [gcra.Rate.Share].
func (s *shares) of(whole []store.Limit) []store.Limit {
	if s.nodes == 1 {
		return whole
	}
	of := limits{&whole[0], len(whole)}
	s.mu.RLock()
	parts := s.known[of]
	s.mu.RUnlock()
	if parts != nil {
		return parts
	}
	for i := range whole {
		parts = append(parts, whole[i].Share(s.nodes))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) == maxShares {
		s.known = make(map[limits][]store.Limit)
	}
	s.known[of] = parts
	return parts
}
