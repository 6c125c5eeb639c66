package mirror

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/internal/prompt"
	"github.com/keyrate/keyrate/store/mirror/internal/breaker"
	"github.com/keyrate/keyrate/store/mirror/internal/clock"
	"github.com/keyrate/keyrate/store/mirror/internal/memory"
)

// DefaultMaxKeys is the bound on what is remembered when Config.MaxKeys is 0.
const DefaultMaxKeys = 1_000_000

// Config configures [New]. The zero value is ready for use by one node.
type Config struct {
	// Nodes is how many nodes share the store. While the store is down, each grants this
	// part of every limit. 0 means 1: the whole limit. For a number that changes, see
	// [Store.SetNodes].
	Nodes int
	// NoShare returns the shared store's error instead of deciding by this node's
	// share of the limits. The request is then served or, with FailClosed of package
	// middleware, denied.
	NoShare bool
	// MaxKeys is about how many buckets are remembered, one for each key and limit. A bucket
	// takes 64 bytes, and at most twice as many again if the shared store was down. MaxKeys is
	// rounded up, to less than the double. Buckets are kept in small sets, and some sets are
	// full before others: with half of MaxKeys in use one bucket in 25 is forgotten, with all
	// of it one in 5, those with the smallest debts of their sets. 0 means [DefaultMaxKeys].
	MaxKeys int
	// OnChange, if not nil, is called once each time the shared store goes down or comes
	// back, in that order, on a goroutine for which no decision waits. While it runs the
	// shared store is not probed, so it must be quick. It must not call Close. If it panics,
	// the change stands and Check warns.
	OnChange func(Change)
	// OnStep, if not nil, is called when the clock of a part of the shared store was set by
	// more than a second: the debts there are then too large or too small by as much, for one
	// refill at most. The part is "" for a store that is not [store.Partitioned]. OnStep
	// runs on the goroutine of a decision and must be quick. If it panics, the decision
	// stands and Check warns.
	OnStep func(part string, by time.Duration)
}

// A Change reports that the shared store went down or came back.
type Change struct {
	Down  bool          // requests are decided without the shared store from now on; false: by it again
	Part  string        // of a store that is [store.Partitioned], such as one primary of a Cluster; "" is all of it
	Class string        // of the failure that took it down: see [store.Error]
	At    time.Time     // when it happened
	Took  time.Duration // how long it was down; 0 if Down
}

// A Store is a [store.Store] in front of a shared one. Make it with [New], and Close it.
// The zero Store answers every request with an error. A Store is safe for concurrent use.
type Store struct {
	shared  store.Store
	asked   store.Store // shared, guarded if it is not SelfTimed
	noShare bool

	clock    clock.Node
	memory   *memory.Memory
	breaker  *breaker.Breaker
	kept     *keeper
	attempts sync.Pool
	nodes    nodes
}

// New returns a store in front of shared, which stays the caller's. It does no I/O and
// starts no goroutine: the shared store may be down. The error joins all faults of the
// arguments.
func New(shared store.Store, c Config) (*Store, error) {
	var faults []error
	if store.IsNil(shared) {
		faults = append(faults, errors.New("mirror: shared is nil; pass the store that the nodes share, such as one of redisstore.New"))
	} else if v, ok := shared.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			faults = append(faults, fmt.Errorf("mirror: shared: %w", err))
		}
	}
	if c.Nodes < 0 {
		faults = append(faults, fmt.Errorf("mirror: Config.Nodes %d must be the number of nodes that share the store; 0 means 1", c.Nodes))
	}
	if c.MaxKeys < 0 {
		faults = append(faults, fmt.Errorf("mirror: Config.MaxKeys %d must not be negative; 0 means %d", c.MaxKeys, DefaultMaxKeys))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	onChange := func(t breaker.Transition) {
		if c.OnChange != nil {
			c.OnChange(Change(t))
		}
	}
	asked, node := prompt.Guard(shared), clock.Start()
	s := &Store{
		shared: shared, asked: asked, noShare: c.NoShare, clock: node, kept: newKeeper(),
		memory: memory.New(c.MaxKeys, max(c.Nodes, 1), node, store.CanHold(shared)),
	}
	s.breaker = breaker.New(shared, asked, node, breaker.Hooks{OnTransition: onChange, OnStep: c.OnStep, Back: s.back})
	return s, nil
}

// back sends what is kept for a part of the shared store that is back, before any request asks
// it. What is not executed stays.
func (s *Store) back(ctx context.Context, part *breaker.Part) {
	timeout := max(s.breaker.Timeout(), store.DefaultTimeout)
	_ = s.flush(ctx, maxKept/maxBatch*timeout, func(one *kept) bool { return one.part == part })
}

// SelfTimed implements [store.SelfTimed]: every request ends within its Timeout, if the
// shared store heeds its context or is SelfTimed itself.
func (s *Store) SelfTimed() {}

// Format prints the name of the type: the seeds in it are secret.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*mirror.Store")) }

// Close ends the probing of the shared store and returns when its goroutines have ended:
// close the server first. Decisions go on: by this node's share if the shared store was
// down, otherwise by the shared store, and nothing notices any more that it goes down.
// Settlements that are kept stay so, and are sent with the next request of their key or the next
// Settle of their part, if that was not down. Close returns nil and may be called again. OnChange must not call it.
func (s *Store) Close() error {
	if s.breaker != nil {
		s.breaker.Close()
	}
	return nil
}
