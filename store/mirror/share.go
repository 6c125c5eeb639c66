package mirror

import (
	"math"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// shares are the policies of this node's shares. The zero value is ready for use.
type shares struct {
	mu sync.RWMutex
	of map[*ratelimit.Policy]*ratelimit.Policy
}

// maxShares bounds how many are kept. A program whose policies are made anew for each
// call begins afresh after so many.
const maxShares = 1024

// share returns one node's share of a policy.
func (s *shares) share(p *ratelimit.Policy, nodes int) *ratelimit.Policy {
	if nodes == 1 {
		return p
	}
	s.mu.RLock()
	share := s.of[p]
	s.mu.RUnlock()
	if share != nil {
		return share
	}
	share = divided(p, nodes)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil || len(s.of) == maxShares {
		s.of = make(map[*ratelimit.Policy]*ratelimit.Policy)
	}
	s.of[p] = share
	return share
}

// divided returns one node's share of each limit of a policy.
func divided(p *ratelimit.Policy, nodes int) *ratelimit.Policy {
	limits := p.Limits()
	for i := range limits {
		limits[i] = share(limits[i], nodes)
	}
	share, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		return p // cannot be: each of them is valid
	}
	return share
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
	// Centuries: a period, or a refill, that no limit can have. Never more than the share.
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
