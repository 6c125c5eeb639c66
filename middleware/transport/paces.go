package transport

import (
	"container/list"
	"sync"
	"time"
)

// maxIdle is how long a pace is remembered that nobody uses. No wait that is kept
// in it is longer than Config.MaxWait, which is mostly much less.
const maxIdle = 10 * time.Minute

// paces are the paces of all hosts and keys, bounded. The one that was used last is
// in front.
type paces struct {
	mu     sync.Mutex
	byKey  map[paceKey]*list.Element // of *pace
	recent list.List
	config Config
}

// acquire returns the pace of a key, which stays until release.
func (ps *paces) acquire(key paceKey) *pace {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	e := ps.byKey[key]
	if e == nil {
		if ps.byKey == nil {
			ps.byKey = make(map[paceKey]*list.Element)
		}
		e = ps.recent.PushFront(newPace(key, ps.config))
		ps.byKey[key] = e
	}
	ps.recent.MoveToFront(e)
	p := e.Value.(*pace) //nolint:errcheck,forcetypeassert // nothing else is put there
	p.users++
	ps.forget(time.Now())
	return p
}

func (ps *paces) release(p *pace) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p.users--
	p.used = time.Now()
}

// forget drops what is too old or too much, from the back, up to the first pace
// that is in use. So there is one pace at most for each request under way beyond
// MaxPaces.
func (ps *paces) forget(now time.Time) {
	idle := max(maxIdle, ps.config.MaxWait)
	for e := ps.recent.Back(); e != nil; {
		p := e.Value.(*pace) //nolint:errcheck,forcetypeassert // nothing else is put there
		over := len(ps.byKey) > ps.config.MaxPaces
		if !over && (p.users > 0 || now.Sub(p.used) < idle) {
			return
		}
		previous := e.Prev()
		if p.users == 0 {
			ps.recent.Remove(e)
			delete(ps.byKey, p.key)
		}
		e = previous
	}
}
