// Package breaker decides whether the shared store is asked. [Part.Allow] reports it,
// [Part.Succeeded] and [Part.Failed] count. While a part of the store is down, a goroutine
// probes it with real decisions, until it is back.
package breaker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
)

// A Breaker has one breaker for each part of the shared store that a request has met so far.
// It is safe for concurrent use.
type Breaker struct {
	shared    store.Store
	partition func(home, key string) string // nil: the store has one part
	clock     clock.Node
	longest   atomic.Int64 // the longest timeout of any request so far, in nanoseconds

	down     atomic.Int64 // parts
	lastBack atomic.Int64 // when one last came back, on this node's clock; 0: none was down

	hooks  Hooks
	panics atomic.Int64 // of the user's functions

	whole  Part
	mu     sync.RWMutex
	named  map[string]*Part
	closed bool // no part goes down any more

	ctx     context.Context //nolint:containedctx // ends with Close, not with a request
	cancel  context.CancelFunc
	probing sync.WaitGroup
}

// A Transition says that a part went down or came back: see mirror.Change.
type Transition struct {
	Down  bool
	Part  string
	Class string
	At    time.Time
	Took  time.Duration
}

// Hooks are the functions that a Breaker calls.
type Hooks struct {
	OnTransition func(Transition)
	OnStep       func(part string, by time.Duration) // may be nil
	// Back is called when a part has passed its probes, before it is asked again.
	Back func(ctx context.Context, p *Part)
}

// maxParts bounds how many parts have a breaker of their own.
const maxParts = 1024

// New returns a Breaker for a store, whose probes go through guarded.
func New(backend, guarded store.Store, clock clock.Node, hooks Hooks) *Breaker {
	b := &Breaker{shared: guarded, clock: clock, hooks: hooks, named: map[string]*Part{}}
	b.whole.breaker = b
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if partitioned, ok := backend.(store.Partitioned); ok {
		b.partition = partitioned.Partition
	}
	return b
}

// Part returns the part that has the buckets of a key in a home.
func (b *Breaker) Part(home, key string) *Part {
	if b.partition == nil {
		return &b.whole
	}
	name := b.name(home, key)
	if name == "" {
		return &b.whole
	}
	b.mu.RLock()
	part := b.named[name]
	b.mu.RUnlock()
	if part != nil {
		return part
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if part = b.named[name]; part == nil {
		if len(b.named) == maxParts {
			return &b.whole
		}
		part = &Part{Name: name, breaker: b}
		b.named[name] = part
	}
	return part
}

// name returns the store's name for the key's part, or "" if the store panics.
func (b *Breaker) name(home, key string) (name string) {
	_ = store.Try(func() { name = b.partition(home, key) })
	return name
}

// Parts returns all parts, the whole first and the others by name.
func (b *Breaker) Parts() []*Part {
	b.mu.RLock()
	defer b.mu.RUnlock()
	parts := []*Part{&b.whole}
	for _, name := range slices.Sorted(maps.Keys(b.named)) {
		parts = append(parts, b.named[name])
	}
	return parts
}

// transition calls Hooks.OnTransition and waits for it. It runs on a goroutine of its own, which
// it may end.
func (b *Breaker) transition(t Transition) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.call(func() { b.hooks.OnTransition(t) })
	}()
	<-done
}

// step calls Hooks.OnStep.
func (b *Breaker) step(part string, by time.Duration) {
	if b.hooks.OnStep != nil {
		b.call(func() { b.hooks.OnStep(part, by) })
	}
}

// call counts panics of f.
func (b *Breaker) call(f func()) {
	if store.Try(f) != nil {
		b.panics.Add(1)
	}
}

// Steady reports whether no part is down, or came back less than a second ago.
func (b *Breaker) Steady() bool {
	back := b.lastBack.Load()
	return b.down.Load() == 0 && (back == 0 || b.clock.Now()-back >= int64(justBack))
}

// Timeout returns how long the most patient request waits for an answer.
func (b *Breaker) Timeout() time.Duration { return time.Duration(b.longest.Load()) }

// Panics returns how often a function of the user has panicked.
func (b *Breaker) Panics() int64 { return b.panics.Load() }

// Close ends all probing. The breakers stay as they are from then on.
func (b *Breaker) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.probing.Wait()
}
