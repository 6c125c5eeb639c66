package breaker

import "time"

// failuresToOpen is how many failures in a row open a breaker.
const failuresToOpen = 3

// A part that fails again within relapse after it came back must pass more probes in a row,
// twice as many each time up to maxProbes: or it would be down and back ten times a second.
const (
	relapse   = 5 * time.Second
	maxProbes = 4
)

// An outage is what the goroutine needs that ends it.
type outage struct {
	began  Transition
	probes int             // in a row that end it
	prev   <-chan struct{} // closed when the goroutine of the outage before has ended; nil if there was none
	done   chan<- struct{}
}

// open counts a failure of an attempt that began in an epoch. It returns the outage that
// begins with it, if one does.
func (p *Part) open(epoch uint64, class string) (o outage, opened bool) {
	if p.epoch.Load() != epoch || p.failures.Add(1) < failuresToOpen {
		return o, false
	}
	b := p.breaker
	b.mu.Lock()
	defer b.mu.Unlock()
	if p.epoch.Load() != epoch || b.closed {
		return o, false
	}
	now, done := time.Now(), make(chan struct{})
	p.probes = min(2*p.probes, maxProbes)
	if p.since.IsZero() || now.Sub(p.since) > relapse {
		p.probes = 1
	}
	o = outage{Transition{Down: true, Part: p.Name, Class: class, At: now}, p.probes, p.done, done}
	p.since, p.class, p.done = now, class, done
	p.epoch.Add(1)
	b.probing.Add(1)
	return o, true
}

// shut ends an outage.
func (p *Part) shut() Transition {
	p.breaker.mu.Lock()
	defer p.breaker.mu.Unlock()
	now := time.Now()
	t := Transition{Part: p.Name, Class: p.class, At: now, Took: now.Sub(p.since)}
	p.since, p.class = now, ""
	p.failures.Store(0)
	p.unanswered.Store(0)
	p.epoch.Add(1)
	return t
}

// State reports whether the part is down, since when it is as it is, and the class of the
// failure that opened its breaker.
func (p *Part) State() (down bool, since time.Time, class string) {
	p.breaker.mu.RLock()
	defer p.breaker.mu.RUnlock()
	return p.epoch.Load()%2 == 1, p.since, p.class
}
