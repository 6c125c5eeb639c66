package mirror

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// failuresToOpen is how many failures in a row make the shared store count as away.
const failuresToOpen = 3

// A store that failed again so soon after it came back has to prove more than once that
// it is back, each time twice as often: it would be away and back ten times a second.
const (
	relapse    = 5 * time.Second
	mostProofs = 4
)

// A breaker says whether the shared store is asked. It opens by failures in a row, and
// is closed by the goroutine that it started then: so there is one while it is open, and
// none while it is not. The zero value is closed.
type breaker struct {
	// epoch counts the transitions: it is odd while the breaker is open. A failure that
	// began in an earlier epoch says nothing about this one.
	epoch      atomic.Uint64
	failures   atomic.Int64 // in a row
	unanswered atomic.Int64 // when the first call was sent that was in a hurry and heard nothing, since any other heard something; 0: none

	mu     sync.Mutex
	since  time.Time // the last transition; zero if there was none
	class  string    // of the failure that opened it
	proofs int       // how many in a row it takes to close it
	ended  bool      // it opens no more
	cancel context.CancelFunc
	over   chan struct{} // closed when the last goroutine has ended; nil if there was none
}

// A turn is the time of one goroutine, which comes after that of the one before it.
type turn struct {
	ctx  context.Context //nolint:containedctx // ends with Close, not with a call
	prev <-chan struct{} // nil: there was none
	over chan<- struct{}
	// proofs is how many in a row it takes until the store is back.
	proofs int
}

// now returns the epoch, and whether the breaker is open.
func (b *breaker) now() (epoch uint64, open bool) {
	epoch = b.epoch.Load()
	return epoch, epoch%2 == 1
}

// worked counts a call that was decided. It writes only if there is something to write:
// all cores share what it looks at.
func (b *breaker) worked() {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
	}
	if b.unanswered.Load() != 0 {
		b.unanswered.Store(0)
	}
}

// silent tells whether nobody has been answered for as long as patience, of whom one
// that was sent and gave up now is the last.
func (b *breaker) silent(sent, now, patience int64) bool {
	if b.unanswered.CompareAndSwap(0, sent) {
		return false
	}
	return now-b.unanswered.Load() >= patience
}

// failed counts a failure of a call that began in an epoch. The last of a row opens
// the breaker, and has watch called on a goroutine of its own.
func (b *breaker) failed(epoch uint64, class string, watch func(Change, turn)) {
	if b.epoch.Load() != epoch || b.failures.Add(1) < failuresToOpen {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.epoch.Load() != epoch || b.ended {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	over := make(chan struct{})
	now := time.Now()
	b.proofs = min(2*b.proofs, mostProofs)
	if b.since.IsZero() || now.Sub(b.since) > relapse {
		b.proofs = 1
	}
	t := turn{ctx: ctx, prev: b.over, over: over, proofs: b.proofs}
	b.cancel, b.over = cancel, over
	b.since, b.class = now, class
	b.epoch.Add(1)
	go watch(Change{Away: true, Class: class, At: b.since}, t)
}

// close closes the breaker.
func (b *breaker) close() Change {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	c := Change{Class: b.class, At: now, Took: now.Sub(b.since)}
	b.cancel()
	b.since, b.class = now, ""
	b.failures.Store(0)
	b.unanswered.Store(0)
	b.epoch.Add(1)
	return c
}

// end makes the breaker stay as it is, and waits until no goroutine is left.
func (b *breaker) end() {
	b.mu.Lock()
	b.ended = true
	over := b.over
	if b.cancel != nil {
		b.cancel()
	}
	b.mu.Unlock()
	if over != nil {
		<-over
	}
}

// state returns whether the breaker is open, since when, and why.
func (b *breaker) state() (open bool, since time.Time, class string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, open = b.now()
	return open, b.since, b.class
}
