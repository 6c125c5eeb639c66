package transport

import (
	"container/list"
	"sync"
	"time"
)

// maxIdle is how long a pace is remembered that nobody uses. No wait that is kept
// in it is longer than Config.MaxWait, which is mostly much less.
const maxIdle = 10 * time.Minute

// paces are the paces of all hosts and keys, bounded: there are MaxPaces, and one at
// most for each request under way beyond that.
type paces struct {
	mu     sync.Mutex
	byKey  map[paceKey]*pace
	idle   list.List // of *pace, those that nobody uses, the one that was used last in front
	config Config
}

// acquire returns the pace of a key, which stays until release. found is false if the
// key is that of requests without a credential.
func (ps *paces) acquire(key paceKey, found bool) *pace {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.byKey[key]
	if p == nil {
		if ps.byKey == nil {
			ps.byKey = make(map[paceKey]*pace)
		}
		p = newPace(key, found, ps.config)
		ps.byKey[key] = p
	}
	if p.users++; p.idle != nil {
		ps.idle.Remove(p.idle)
		p.idle = nil
	}
	ps.forget(time.Now())
	return p
}

func (ps *paces) release(p *pace) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	now := time.Now()
	if p.users--; p.users == 0 {
		p.used, p.idle = now, ps.idle.PushFront(p)
	}
	ps.forget(now)
}

// forget drops what is too old or too much.
func (ps *paces) forget(now time.Time) {
	idle := max(maxIdle, ps.config.MaxWait)
	for e := ps.idle.Back(); e != nil; e = ps.idle.Back() {
		p := e.Value.(*pace) //nolint:errcheck,forcetypeassert // nothing else is put there
		if len(ps.byKey) <= ps.config.MaxPaces && now.Sub(p.used) < idle {
			return
		}
		ps.idle.Remove(e)
		delete(ps.byKey, p.key)
	}
}
