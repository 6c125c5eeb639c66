package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// A foreign store has only the methods of a store and of a holder. It takes as its function says.
type foreign struct {
	*memstore.Store
	take func(s *memstore.Store, r store.Request) (store.Decision, error)
}

func (f foreign) Take(_ context.Context, r store.Request) (store.Decision, error) {
	return f.take(f.Store, r)
}

// TestGuardOfLeases: a lease is at least 0 and at most what was asked for, is held, and belongs to a call
// that was admitted.
func TestGuardOfLeases(t *testing.T) {
	limits := testkit.Limits(t, ratelimit.PerHour(100))
	for name, test := range map[string]struct {
		leased, held int
		denied       bool
		class        string
	}{
		"none":                {0, 0, false, ""},
		"a part":              {5, 5, false, ""},
		"all":                 {10, 12, false, ""},
		"more than asked for": {11, 11, false, store.ClassWrong},
		"negative":            {-1, 0, false, store.ClassWrong},
		"not held":            {5, 4, false, store.ClassWrong},
		"denied":              {5, 5, true, store.ClassWrong},
	} {
		hold := store.Hold{Spend: true, Lease: 10, Leased: 99} // of a call before
		s := store.Guard(foreign{memstore.New(memstore.Config{}), func(_ *memstore.Store, r store.Request) (store.Decision, error) {
			r.Hold.Leased += test.leased
			d := store.Decision{Allowed: !test.denied, Now: 1, Held: [store.MaxLimits]int{test.held}}
			d.Debts[0] = limits[0].Capacity()
			return d, nil
		}})
		_, err := s.Take(t.Context(), store.Request{Key: "k", Limits: limits, Cost: 1, Hold: &hold, Timeout: time.Second})
		if store.ErrorClass(err) != test.class {
			t.Errorf("%s: %v; want class %q", name, err, test.class)
		}
	}
}

// TestGuardOfReleases: whatever the store does, each settlement that comes with a request has the
// results of the store or an error, which reports that it was not made only if it was not.
func TestGuardOfReleases(t *testing.T) {
	limits := testkit.Limits(t, ratelimit.PerHour(100))
	down := &store.Error{Class: "down", NotCharged: true}
	for name, test := range map[string]struct {
		take       func(s *memstore.Store, r store.Request) (store.Decision, error)
		limits     []store.Limit
		class      string
		notCharged bool
	}{
		"made": {take: func(s *memstore.Store, r store.Request) (store.Decision, error) {
			return s.Take(t.Context(), r)
		}},
		"made, then an error": {take: func(s *memstore.Store, r store.Request) (store.Decision, error) {
			s.Settle(t.Context(), r.Release)
			return store.Decision{}, down
		}},
		"an error": {take: func(*memstore.Store, store.Request) (store.Decision, error) { return store.Decision{}, down },
			class: "down", notCharged: true},
		"a panic": {take: func(*memstore.Store, store.Request) (store.Decision, error) { panic("p") }, class: store.ClassPanic},
		"ignored": {take: func(s *memstore.Store, r store.Request) (store.Decision, error) {
			r.Release = nil
			return s.Take(t.Context(), r)
		}, class: store.ClassWrong},
		"wrong debts": {take: func(s *memstore.Store, r store.Request) (store.Decision, error) {
			d, err := s.Take(t.Context(), r)
			r.Release[0].Debts[0] = gcra.Debt{Micros: -1}
			return d, err
		}, class: store.ClassWrong},
		"no limits": {take: func(s *memstore.Store, r store.Request) (store.Decision, error) {
			return s.Take(t.Context(), r)
		},
			limits: []store.Limit{}, class: store.ClassOther, notCharged: true},
	} {
		if test.limits == nil {
			test.limits = limits
		}
		s := store.Guard(foreign{memstore.New(memstore.Config{}), test.take})
		all := []store.Settlement{{Key: "k", Limits: limits, Actual: 1, Now: 7, Err: down}}
		_, _ = s.Take(t.Context(), store.Request{Key: "k", Limits: test.limits, Release: all, Timeout: time.Second})
		failed := store.NewError(all[0].Err, "k")
		if store.ErrorClass(all[0].Err) != test.class || all[0].Err != nil && failed.NotCharged != test.notCharged {
			t.Errorf("%s: %v, NotCharged %v; want class %q, %v", name, all[0].Err, failed.NotCharged, test.class, test.notCharged)
		}
	}

	all := []store.Settlement{{Key: "k", Limits: limits, Actual: 1}}
	d, err := store.Guard(plainStore{memstore.New(memstore.Config{})}).Take(t.Context(), store.Request{Key: "k", Limits: limits, Cost: 1, Release: all, Timeout: time.Second})
	if failed := store.NewError(all[0].Err, "k"); err != nil || !d.Allowed || d.Debts[0].Micros != 36_000_000 || all[0].Err == nil || !failed.NotCharged {
		t.Errorf("a store that cannot hold: %+v, %v; the settlement: %v; want it admitted, and an error that nothing was charged", d, err, all[0].Err)
	}
}

// A plainStore cannot hold tokens.
type plainStore struct{ store.Store }
