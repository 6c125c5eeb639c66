package lease

import (
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/internal/prompt"
)

// DefaultMaxKeys is the bound on leases when Config.MaxKeys is 0.
const DefaultMaxKeys = 100_000

// Config configures [New]. The zero value is ready to use.
type Config struct {
	// MaxKeys is how many keys may have a lease at a time, one for each policy: some 600 bytes
	// each. The calls of further keys go to the shared store. 0 means [DefaultMaxKeys].
	MaxKeys int
}

// A Store is a [store.Store] in front of a shared one. Make it with [New], and Close it. The zero
// Store answers every call with an error. A Store is safe for concurrent use.
type Store struct {
	shared store.Store
	asked  store.Store // shared, guarded if it is not SelfTimed
	clock  clock
	seed   maphash.Seed
	open   atomic.Bool // the shared store holds tokens, and the Store is not closed
	rates  *sketch     // of keys without a lease
	table  table

	mu     sync.Mutex
	closed bool
	trips  sync.WaitGroup // those on their way; Add under mu, and not once closed
	ticks  ticks
}

// New returns a store in front of shared, which stays the caller's: a store of package redisstore,
// or a mirror in front of it. It does no I/O and starts nothing. The error joins all faults of
// the arguments.
func New(shared store.Store, c Config) (*Store, error) {
	var faults []error
	switch {
	case store.IsNil(shared):
		faults = append(faults, errors.New("lease: shared is nil; pass the store that the nodes share, such as one of redisstore.New"))
	default:
		if v, ok := shared.(interface{ Validate() error }); ok {
			if err := v.Validate(); err != nil {
				faults = append(faults, fmt.Errorf("lease: shared: %w", err))
				break
			}
		}
		if !store.CanHold(shared) {
			faults = append(faults, errors.New("lease: shared cannot hold tokens; pass a store.Holder, such as a store of redisstore.New"))
		}
	}
	if c.MaxKeys < 0 {
		faults = append(faults, fmt.Errorf("lease: Config.MaxKeys %d must not be negative; 0 means %d", c.MaxKeys, DefaultMaxKeys))
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	if c.MaxKeys == 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	s := &Store{shared: shared, asked: prompt.Guard(shared), seed: maphash.MakeSeed(), rates: new(sketch)}
	s.clock.begin(shared)
	s.table.most = int64(c.MaxKeys)
	s.open.Store(true)
	return s, nil
}

// SelfTimed implements [store.SelfTimed]: every call ends within its Timeout, if the shared store
// heeds its context or is SelfTimed itself.
func (s *Store) SelfTimed() {}

// Format prints the name of the type: there are keys in it.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*lease.Store")) }

// Validate returns an error for the zero Store.
func (s *Store) Validate() error {
	if s.shared == nil {
		return errZero.Err
	}
	return nil
}

// Close gives back what is leased and not spent. It waits for the trips to the shared store that
// are on their way, and returns when no goroutine is left. Calls go to the shared store from then
// on. It returns nil and may be called again. The shared store must be closed after it.
func (s *Store) Close() error {
	if s.shared == nil {
		return nil
	}
	s.open.Store(false)
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.trips.Wait()
	s.ticks.stop(s)
	return nil
}

// begins reports whether a trip may begin. Then trips.Done ends it.
func (s *Store) begins() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.trips.Add(1)
	return true
}

var errZero = &store.Error{Class: store.ClassOther, NotCharged: true, Err: errors.New("lease: this is the zero Store; make one with lease.New")}
