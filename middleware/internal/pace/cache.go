package pace

import (
	"container/list"
	"sync"
	"time"
)

// A Key stands for a host and a credential.
type Key [32]byte

// A Cache has the paces of all keys. It holds MaxPaces of them, and beyond that at most
// one for each request under way. MaxPaces and MaxWait must be positive.
type Cache struct {
	MaxPaces int
	MaxWait  time.Duration // of one request

	mu    sync.Mutex
	byKey map[Key]*Pace
	idle  list.List // of *Pace, those without a request under way, the last used one in front
}

// maxIdle is how long an idle pace is remembered. No wait in it is longer than MaxWait,
// which is usually much less.
const maxIdle = 10 * time.Minute

// Acquire returns the pace of a key, which stays until Release.
func (c *Cache) Acquire(key Key) *Pace {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.byKey[key]
	if p == nil {
		if c.byKey == nil {
			c.byKey = make(map[Key]*Pace)
		}
		p = &Pace{key: key, maxWait: c.MaxWait}
		c.byKey[key] = p
	}
	if p.users++; p.idle != nil {
		c.idle.Remove(p.idle)
		p.idle = nil
	}
	c.forget(time.Now())
	return p
}

// Release ends a use of p.
func (c *Cache) Release(p *Pace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if p.users--; p.users == 0 {
		p.used, p.idle = now, c.idle.PushFront(p)
	}
	c.forget(now)
}

// forget drops idle paces that are too old or too many.
func (c *Cache) forget(now time.Time) {
	for e := c.idle.Back(); e != nil; e = c.idle.Back() {
		p := e.Value.(*Pace) //nolint:errcheck,forcetypeassert // the list holds nothing else
		if len(c.byKey) <= c.MaxPaces && now.Sub(p.used) < max(maxIdle, c.MaxWait) {
			return
		}
		c.idle.Remove(e)
		delete(c.byKey, p.key)
	}
}
