package mirror

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// DefaultMaxKeys is the bound on what is remembered when Config.MaxKeys is 0.
const DefaultMaxKeys = 1_000_000

// Config is what [New] can be told. Its zero value is ready for use by one node.
type Config struct {
	// Nodes is how many processes share the store. While it is away each grants this
	// part of every limit. 0 means 1: the whole of it.
	Nodes int
	// NoShare returns the shared store's error instead of deciding by this node's
	// share of the limits. The request is then served or, with FailClosed of package
	// middleware, denied.
	NoShare bool
	// MaxKeys is about how many buckets are remembered, one for each key and limit; one
	// takes 64 bytes, and as many again at most while the shared store is away. It is
	// rounded up, to less than the double. They are kept in small sets, some of which are
	// full before others: with half of MaxKeys in use one in 25 is forgotten, with all of
	// it one in 5, those with the smallest debts of their sets. 0 means [DefaultMaxKeys].
	MaxKeys int
	// OnChange, if not nil, is called once each time the shared store goes away or
	// comes back, in that order, on a goroutine on which no decision waits. While it
	// runs nobody looks for the shared store, so it must be quick; and it must not call
	// Close. If it panics, the change stands and Check warns.
	OnChange func(Change)
	// OnStep, if not nil, is called when the clock of a part of the shared store is seen
	// to have been set, by more than a second: debts there are then too large or too small
	// by so much, for one refill at most. It is called on the goroutine of a decision, and
	// must be quick. Of a store in one piece the part is "". If it panics, the decision
	// stands and Check warns.
	OnStep func(part string, by time.Duration)
}

// A Store is a [ratelimit.Store] in front of a shared one. Make one with [New], and
// Close it; the zero Store answers every call with an error. It is safe for concurrent
// use.
type Store struct {
	shared  ratelimit.Store
	asked   ratelimit.Store // shared, with whatever it needs to end in time and never panic
	noShare bool
	nodes   int

	start  time.Time // its monotonic reading counts
	memory *memory
	local  *memstore.Store // the buckets of this node's shares
	shares shares
	trips  sync.Pool

	parts    *parts
	patience atomic.Int64 // the longest Timeout of any call so far, in nanoseconds
	onChange func(Change)
	onStep   func(part string, by time.Duration)
	panics   atomic.Int64 // of both
}

// New returns a store in front of shared, which stays the caller's. It does no I/O,
// and starts no goroutine: the shared store may be away. The error joins all faults of
// the arguments.
func New(shared ratelimit.Store, c Config) (*Store, error) {
	var faults []error
	if isNil(shared) {
		faults = append(faults, errors.New("mirror: shared is nil; pass the store that the nodes share, such as one of redisstore.New"))
	}
	if c.Nodes < 0 {
		faults = append(faults, fmt.Errorf("mirror: Config.Nodes %d must be the number of processes that share the store; 0 means 1", c.Nodes))
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
	s := &Store{
		shared: shared, asked: guard(shared), noShare: c.NoShare, nodes: max(c.Nodes, 1),
		start: time.Now(), memory: newMemory(c.MaxKeys), local: memstore.New(memstore.Config{MaxKeys: c.MaxKeys}),
		parts: newParts(shared), onChange: c.OnChange, onStep: c.OnStep,
	}
	return s, nil
}

// isNil tells a nil interface, and a nil pointer in one, from a store.
func isNil(s ratelimit.Store) bool {
	v := reflect.ValueOf(s)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

// SelfTimed tells the limiter that every call ends within its Timeout, if the shared
// store heeds its context or is SelfTimed itself.
func (s *Store) SelfTimed() {}

// Format prints the name of the type: the seeds in it are secret.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*mirror.Store")) }

// now is this node's clock, in nanoseconds. It begins with 1, never is set, and has no
// relation to any other.
//
// Nanoseconds, since debts are in whole microseconds: of two readings of a clock cut to
// microseconds, the difference may be one less than what has passed, and a debt aged by
// it larger than the shared store's.
func (s *Store) now() int64 { return int64(time.Since(s.start)) + 1 }
