package breaker

import (
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// failuresToOpen is how many failures in a row open a breaker.
const failuresToOpen = 3

// A part that fails again within relapse after it came back must pass more probes in a row,
// twice as many each time up to maxProbes: or it would be down and back ten times a second.
const (
	relapse   = 5 * time.Second
	maxProbes = 4
)

// A Part of the shared store fails and comes back by itself: one primary of a Cluster, or
// the whole of a store that is not [store.Partitioned]. Failures in a row open its
// breaker. Then a goroutine probes it, and ends when it closes the breaker.
type Part struct {
	Name  string       // "" for the whole, and for keys whose part the store does not know
	Clock clock.Shared // as its answers show it

	breaker *Breaker
	// epoch counts the transitions and is odd while the breaker is open. A failure that began
	// in an earlier epoch does not count.
	epoch    atomic.Uint64
	failures atomic.Int64 // in a row
	// unanswered is when the first attempt was sent that was too short to count and got no
	// answer, since any other got one; 0 if there is none.
	unanswered atomic.Int64
	probeKey   atomic.Value // a random key that this part has
	wanted     atomic.Bool  // a request for it came while it was down
	back       atomic.Int64 // when it last came back, on this node's clock; 0: it never was down

	// breaker.mu guards the rest.
	since  time.Time     // the last transition; zero if there was none
	class  string        // of the failure that opened the breaker
	probes int           // in a row that close it
	done   chan struct{} // of the last outage
}

// Allow reports whether the part is asked, for a request that waits at most timeout. Its
// epoch goes into [Part.Failed].
func (p *Part) Allow(timeout time.Duration) (epoch uint64, ok bool) {
	if longest := &p.breaker.longest; int64(timeout) > longest.Load() {
		longest.Store(int64(timeout))
	}
	epoch = p.epoch.Load()
	ok = epoch%2 == 0
	if !ok && p.Name != "" && !p.wanted.Load() {
		p.wanted.Store(true)
	}
	return epoch, ok
}

// Succeeded counts an attempt that was answered, and takes in what its answer shows of the
// clock of the part. It writes only what changes: all cores share what it reads.
func (p *Part) Succeeded(shared, asked, answered int64) {
	if p.failures.Load() != 0 {
		p.failures.Store(0)
	}
	if p.unanswered.Load() != 0 {
		p.unanswered.Store(0)
	}
	if by := p.Clock.Observe(shared, asked, answered); by != 0 {
		p.breaker.step(p.Name, by)
	}
}

// Works reports whether the last attempt was answered.
func (p *Part) Works() bool { return p.failures.Load() == 0 }

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
	b.down.Add(1)
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
	back := p.breaker.clock.Now()
	p.back.Store(back)
	p.breaker.lastBack.Store(back)
	p.epoch.Add(1)
	p.breaker.down.Add(-1)
	return t
}

// justBack is for how long others may have to charge yet what they admitted alone.
const justBack = time.Second

// JustBack reports whether the part came back less than a second ago.
func (p *Part) JustBack() bool {
	back := p.back.Load()
	return back != 0 && p.breaker.clock.Now()-back < int64(justBack)
}

// State reports whether the part is down, since when it is as it is, and the class of the
// failure that opened its breaker.
func (p *Part) State() (down bool, since time.Time, class string) {
	p.breaker.mu.RLock()
	defer p.breaker.mu.RUnlock()
	return p.epoch.Load()%2 == 1, p.since, p.class
}
