package ratelimit

import (
	"slices"
	"sync"
	"weak"
)

// limiters are those in use whose limits, at least for most keys, are known. Check looks
// for two that would have different limits in one bucket.
var limiters registry

// A registry remembers limiters weakly: a limiter that a program drops leaves it, and need
// not be closed.
type registry struct {
	mu   sync.Mutex
	made []weak.Pointer[Limiter]
	most int // how long made may get before those that are gone leave it
}

func (g *registry) add(l *Limiter) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.made) >= g.most {
		g.made = slices.DeleteFunc(g.made, func(p weak.Pointer[Limiter]) bool { return p.Value() == nil })
		g.most = 2*len(g.made) + 16
	}
	g.made = append(g.made, weak.Make(l))
}

// inUse returns the limiters that are in use, in the order in which they were made.
func (g *registry) inUse() []*Limiter {
	g.mu.Lock()
	defer g.mu.Unlock()
	limiters := make([]*Limiter, 0, len(g.made))
	for _, p := range g.made {
		if l := p.Value(); l != nil {
			limiters = append(limiters, l)
		}
	}
	return limiters
}
