package mystore

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/storetest"
)

// A Store keeps buckets in a map.
type Store struct {
	mu      sync.Mutex
	buckets map[name]bucket
}

// A name identifies a bucket: that of a key, or of a home if the limit is shared.
type name struct {
	home, key, limit string
	shared           bool
}

func nameOf(r store.Request, l store.Limit) name {
	if l.Shared && r.Home != "" {
		return name{r.Home, "", l.Name, true}
	}
	return name{r.Home, r.Key, l.Name, false}
}

type bucket struct {
	gcra.Bucket       // zero: it is full
	reset       int64 // when it was reset; 0: never
}

var errLimits = errors.New("mystore: there must be 1 to 4 limits")

func New() *Store { return &Store{buckets: map[name]bucket{}} }

func (s *Store) Take(_ context.Context, r store.Request) (store.Decision, error) {
	if n := len(r.Limits); n == 0 || n > store.MaxLimits {
		return store.Decision{}, errLimits
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := store.Decision{Allowed: true, Now: time.Now().UnixMicro()}
	var buckets [store.MaxLimits]bucket
	var after [store.MaxLimits]gcra.Debt
	var stale [store.MaxLimits]bool
	for i, l := range r.Limits {
		var same bool
		b := s.buckets[nameOf(r, l)]
		d.Debts[i], stale[i], same = b.Open(&l.Rate, d.Now)
		if known := r.Known; known != nil && same && (known[i].Seen == 0 || known[i].Seen > b.reset) {
			d.Debts[i] = l.Merge(d.Debts[i], known[i].Debt, known[i].TAT, d.Now)
		}
		cost, possible := l.Cost(r.Cost)
		buckets[i], after[i] = b, l.Add(d.Debts[i], cost)
		d.Allowed = d.Allowed && possible && l.Fits(after[i])
	}
	for i, l := range r.Limits {
		if d.Allowed {
			d.Debts[i] = after[i]
		}
		if d.Allowed && r.Cost > 0 || stale[i] {
			buckets[i].Spend(&l.Rate, d.Debts[i], d.Now)
			s.buckets[nameOf(r, l)] = buckets[i]
		}
	}
	return d, nil
}

func (s *Store) Reset(_ context.Context, r store.Request) error {
	if n := len(r.Limits); n == 0 || n > store.MaxLimits {
		return errLimits
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range r.Limits {
		s.buckets[nameOf(r, l)] = bucket{reset: time.Now().UnixMicro()}
	}
	return nil
}

func TestStore(t *testing.T) {
	storetest.Run(t, storetest.Harness{New: func(*testing.T) store.Store { return New() }})
}
