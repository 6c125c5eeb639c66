package memstore

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math/bits"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// DefaultMaxKeys is the bound on buckets when Config.MaxKeys is 0: 64 MB at most, and
// 3 MB more once the store has been full.
const DefaultMaxKeys = 1_000_000

// Config configures [New]. The zero value is ready to use.
type Config struct {
	// MaxKeys is how many buckets are kept, one for each key and limit; a bucket
	// takes 64 bytes at most. 0, or less, means [DefaultMaxKeys]. For what it takes an
	// attacker to fill the store, see the package comment.
	MaxKeys int
}

// A Store is a [store.Store] in memory. Make one with [New]; the zero Store
// answers every call with an error. It is safe for concurrent use.
type Store struct {
	start  time.Time    // its monotonic reading counts: the wall clock has no say
	clock  func() int64 // in microseconds, for tests; nil means the time since start
	seeds  [2]maphash.Seed
	shift  uint // takes a hash to the number of its shard
	shards []shard

	room     room
	overflow overflow
	resets   resets
}

// New returns an empty store: all buckets are full.
func New(c Config) *Store {
	if c.MaxKeys <= 0 {
		c.MaxKeys = DefaultMaxKeys
	}
	s := &Store{start: time.Now(), seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}}
	s.divide(shards(c.MaxKeys))
	s.room.max, s.overflow.each = int64(c.MaxKeys), overflowEach(c.MaxKeys)
	s.room.visited.Store(-recycleEvery)
	return s
}

// shards returns into how many parts the table is divided, a power of two.
func shards(maxKeys int) int {
	// One for every 4096 buckets keeps the growth of a shard, the longest wait
	// of any call, to some 50 microseconds.
	few := bits.Len(uint(maxKeys-1) / 4096)
	// At least 128, where that leaves 64 buckets for each, so that callers on different
	// cores rarely want the same lock.
	many := min(bits.Len(uint(maxKeys-1)/64), 7)
	return 1 << min(max(few, many), 16)
}

// divide makes n empty shards, a power of two.
func (s *Store) divide(n int) {
	bits := bits.TrailingZeros(uint(n))
	s.shift = uint(64 - bits)
	s.shards = make([]shard, n)
	for i := range s.shards {
		s.shards[i].bits = uint32(bits)
	}
}

// SelfTimed implements [store.SelfTimed]: this store never waits.
func (s *Store) SelfTimed() {}

// Format prints the name of the type: the seeds in it are secret.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("*memstore.Store")) }

var (
	errLimits = errors.New("memstore: a request must have 1 to 4 limits; is its policy ratelimit.Unlimited?")
	errNoHold = errors.New("memstore: the request has a limit on concurrent calls, whose slot can only be held; set Request.Hold")
	errZero   = errors.New("memstore: this is the zero Store; make one with memstore.New")
)

// Validate returns an error for the zero Store.
func (s *Store) Validate() error {
	if len(s.shards) == 0 {
		return errZero
	}
	return nil
}

// usable returns an error for what nothing can be decided with.
func (s *Store) usable(p []store.Limit) error {
	switch {
	case len(p) == 0 || len(p) > store.MaxLimits:
		return errLimits
	case s.shards == nil:
		return errZero
	}
	return nil
}

// Reset implements [store.Store]. Its errors are those of Take. A key that had
// to share an overflow bucket gets one of its own if there is room by now.
func (s *Store) Reset(_ context.Context, r store.Request) error {
	if err := s.usable(r.Limits); err != nil {
		return err
	}
	owners := s.owners(r.Home, r.Key)
	shard := s.shard(owners.key)
	now := s.now()
	shard.mu.Lock()
	defer shard.mu.Unlock()
	now = shard.advance(now)
	for i := range r.Limits {
		s.resets.add(owners.id(&r.Limits[i]), now)
	}
	// At first each bucket keeps a debt of a microsecond: a full one would give its
	// slot away to the next.
	for _, debt := range []gcra.Debt{{Micros: 1}, {}} {
		for i := range r.Limits {
			b := &r.Limits[i]
			id := owners.id(b)
			tat := b.TATAt(debt, now)
			slot := shard.find(id)
			if slot != nil {
				shard.set(slot, tat, b.Index(), false)
			} else if s.overflow.owes(now) {
				s.insert(shard, id, tat, b.Index(), false, now)
			}
		}
	}
	return nil
}

// hash returns the hash of a key, keyed by the store's secret seeds.
func (s *Store) hash(key string) id {
	return id{maphash.String(s.seeds[0], key), maphash.String(s.seeds[1], key)}
}

// owners returns the hashes of a key and its home. All buckets of a home and its keys are in
// one shard, that of the home, so that one lock covers them.
func (s *Store) owners(home, key string) owners {
	own := s.hash(key)
	if home == "" {
		return owners{own, own}
	}
	return s.ownersIn(home, own)
}

// ownersIn is owners for the hash of a key that has a home.
func (s *Store) ownersIn(home string, own id) owners {
	h := s.hash(home)
	bits := 64 - s.shift
	own.key = h.key>>s.shift<<s.shift | own.key>>bits
	own.limit ^= h.limit<<32 | h.limit>>32
	h.limit ^= 0x9e3779b97f4a7c15 // no key of this text
	return owners{own, h}
}

// shard returns where all buckets of a key are.
func (s *Store) shard(hash id) *shard { return &s.shards[hash.key>>s.shift] }

// now reads the clock, in whole microseconds. It begins with 1: in Known.Seen, 0
// stands for no time at all.
func (s *Store) now() int64 {
	if s.clock != nil {
		return s.clock()
	}
	return int64(time.Since(s.start)/time.Microsecond) + 1
}
