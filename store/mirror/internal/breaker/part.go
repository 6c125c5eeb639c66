package breaker

import (
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
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

// Failed counts an attempt that failed with an error of a class. An attempt that timed out
// proves nothing if it lasted less than half of the usual timeout, unless no attempt was
// answered for the whole of it.
func (p *Part) Failed(epoch uint64, class string, asked int64) {
	usual, now := min(p.breaker.longest.Load(), int64(store.DefaultTimeout)), p.breaker.clock.Now()
	if class == store.ClassTimeout && now-asked < usual/2 {
		if p.unanswered.CompareAndSwap(0, asked) || now-p.unanswered.Load() < usual {
			return
		}
	}
	if o, opened := p.open(epoch, class); opened {
		go p.watch(o)
	}
}
