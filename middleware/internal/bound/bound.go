// Package bound limits what a caller may ask about its limits, in a fixed amount of memory.
package bound

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// slots is how many buckets a Store has, in 96 KiB.
const slots = 4096

// A Store is a [store.Store] in memory for one limit and callers that call rarely. Keys whose
// hashes fall together share a bucket, so that made-up keys take no memory and together get no
// more than all slots do. It is safe for concurrent use. Make one with [New].
type Store struct {
	start time.Time
	seed  maphash.Seed

	mu      sync.Mutex
	buckets [slots]gcra.TAT
}

// New returns a Store whose buckets are full.
func New() *Store { return &Store{start: time.Now(), seed: maphash.MakeSeed()} }

var errRequest = errors.New("bound: a request must have one limit, and hold nothing")

// Take implements [store.Store].
func (s *Store) Take(_ context.Context, r store.Request) (d store.Decision, err error) {
	if len(r.Limits) != 1 || r.Hold != nil {
		return d, errRequest
	}
	l, bucket := &r.Limits[0], s.bucket(r.Key)
	cost, possible := l.Cost(r.Cost)
	s.mu.Lock()
	defer s.mu.Unlock()
	d.Now = 1 + time.Since(s.start).Microseconds() // 0 would be no time
	d.Debts[0], _ = l.DebtAt(*bucket, d.Now)
	if after := l.Add(d.Debts[0], cost); possible && l.Fits(after) {
		*bucket = l.TATAt(after, d.Now)
		d.Debts[0], d.Allowed = after, true
	}
	return d, nil
}

// Reset implements [store.Store]. It fills the bucket of the key.
func (s *Store) Reset(_ context.Context, r store.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.bucket(r.Key) = gcra.TAT{}
	return nil
}

// SelfTimed implements [store.SelfTimed]: no call waits.
func (s *Store) SelfTimed() {}

func (s *Store) bucket(key string) *gcra.TAT { return &s.buckets[maphash.String(s.seed, key)%slots] }
