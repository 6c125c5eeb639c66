package pace

import (
	"container/list"
	"sync"
	"time"
)

// maxIdle is how long a pace is remembered that nobody uses. No wait that is kept
// in it is longer than Config.MaxWait, which is mostly much less.
const maxIdle = 10 * time.Minute

// A Key stands for a host and a credential.
type Key [32]byte

// A Cache has the paces of all hosts and keys, bounded: there are MaxPaces, and one at
// most for each request under way beyond that.
type Cache struct {
	MaxPaces int
	MaxWait  time.Duration

	mu    sync.Mutex
	byKey map[Key]*Pace
	idle  list.List // of *Pace, those that nobody uses, the one that was used last in front
}

// Acquire returns the pace of a key, which stays until release.
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

func (c *Cache) Release(p *Pace) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if p.users--; p.users == 0 {
		p.used, p.idle = now, c.idle.PushFront(p)
	}
	c.forget(now)
}

// forget drops what is too old or too much.
func (c *Cache) forget(now time.Time) {
	idle := max(maxIdle, c.MaxWait)
	for e := c.idle.Back(); e != nil; e = c.idle.Back() {
		p := e.Value.(*Pace) //nolint:errcheck,forcetypeassert // nothing else is put there
		if len(c.byKey) <= c.MaxPaces && now.Sub(p.used) < idle {
			return
		}
		c.idle.Remove(e)
		delete(c.byKey, p.key)
	}
}
