package memory

import (
	"math"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// shares are the policies of this node's shares.
type shares struct {
	nodes int
	mu    sync.RWMutex
	known map[*ratelimit.Policy]*ratelimit.Policy
}

// maxShares bounds how many are kept: a program may make new policies for each request.
const maxShares = 1024

// of returns this node's share of a policy.
func (s *shares) of(p *ratelimit.Policy) *ratelimit.Policy {
	if s.nodes == 1 {
		return p
	}
	s.mu.RLock()
	part := s.known[p]
	s.mu.RUnlock()
	if part != nil {
		return part
	}
	part = shareOf(p, s.nodes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil || len(s.known) == maxShares {
		s.known = make(map[*ratelimit.Policy]*ratelimit.Policy)
	}
	s.known[p] = part
	return part
}

// shareOf returns one node's share of each limit of a policy.
func shareOf(p *ratelimit.Policy, nodes int) *ratelimit.Policy {
	limits := p.Limits()
	for i := range limits {
		limits[i] = share(limits[i], nodes)
	}
	part, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		return p // cannot happen: each limit is valid
	}
	return part
}

// share returns one node's share of a limit: rate/nodes, and max(1, floor(burst/nodes)).
func share(l ratelimit.Limit, nodes int) ratelimit.Limit {
	l.Burst = max(1, l.Burst/nodes)
	common := gcd(l.Rate, nodes)
	exact := l
	exact.Rate /= common
	if times := int64(nodes / common); int64(l.Period) <= math.MaxInt64/times {
		exact.Period = time.Duration(int64(l.Period) * times)
		if exact.Validate() == nil {
			return exact
		}
	}
	// A period or a refill of centuries, which no limit can have. Never more than the share.
	l.Rate /= nodes
	if l.Rate > 0 && l.Validate() == nil {
		return l
	}
	l.Rate, l.Period, l.Burst = 1, ratelimit.MaxRefill, 1
	return l
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
