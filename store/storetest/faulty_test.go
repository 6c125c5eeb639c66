package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/storetest"
)

// A test switches a fault on and off.
func ExampleFaulty() {
	var down atomic.Bool
	limiter, err := ratelimit.New(storetest.Faulty{
		Store: memstore.New(memstore.Config{}),
		When:  down.Load,
		Err:   errors.New("connection refused"),
	}, ratelimit.PerSecond(5), ratelimit.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, fault := range []bool{false, true, false} {
		down.Store(fault)
		_, err := limiter.Allow(context.Background(), "key-a")
		fmt.Println(err != nil)
	}
	// Output:
	// false
	// true
	// false
}

// TestFaulty: each fault occurs in Take, Settle and Reset, and without one the store answers.
func TestFaulty(t *testing.T) {
	errDown := errors.New("down")
	limits := testkit.Limits(t, ratelimit.PerHour(1))
	r := store.Request{Key: "k", Limits: limits, Cost: 1, Timeout: time.Second}
	never := func() bool { return false }
	for _, test := range []struct {
		name  string
		store storetest.Faulty
		now   int64 // of the decision; -1: that of the memory
		err   error
		took  time.Duration
		panic any
	}{
		{"no fault", storetest.Faulty{}, -1, nil, 0, nil},
		{"error", storetest.Faulty{Err: errDown}, 0, errDown, 0, nil},
		{"panic", storetest.Faulty{Panic: "p"}, 0, nil, 0, "p"},
		{"delay", storetest.Faulty{Delay: time.Millisecond}, -1, nil, time.Millisecond, nil},
		{"delay beyond the context", storetest.Faulty{Delay: time.Hour}, 0, context.DeadlineExceeded, time.Second, nil},
		{"delayed error", storetest.Faulty{Delay: time.Millisecond, Err: errDown}, 0, errDown, time.Millisecond, nil},
		{"answer", storetest.Faulty{Answer: &store.Decision{Now: 7}}, 7, nil, 0, nil},
		{"not now", storetest.Faulty{When: never, Delay: time.Hour, Err: errDown, Panic: "p", Answer: new(store.Decision)}, -1, nil, 0, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.store.Store = memstore.New(memstore.Config{})
				for name, call := range map[string]func(ctx context.Context) error{
					"Take": func(ctx context.Context) error {
						d, err := test.store.Take(ctx, r)
						if err == nil && test.now >= 0 && d.Now != test.now || test.now < 0 && d.Now == 0 {
							t.Errorf("Take returned the time %d", d.Now)
						}
						return err
					},
					"Settle": func(ctx context.Context) error {
						all := []store.Settlement{{Key: "k", Limits: limits, Actual: 1}, {Key: "l", Limits: limits, Actual: 1}}
						test.store.Settle(ctx, all)
						if all[0].Err == nil && test.now < 0 && all[1].Now == 0 {
							t.Error("Settle returned no time")
						}
						if (all[0].Err == nil) != (all[1].Err == nil) {
							t.Errorf("Settle returned %v and %v", all[0].Err, all[1].Err)
						}
						return all[0].Err
					},
					"Reset": func(ctx context.Context) error { return test.store.Reset(ctx, store.Request{Key: "k", Limits: limits}) },
				} {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					start := time.Now()
					func() {
						defer func() {
							if v := recover(); v != test.panic {
								t.Errorf("%s panicked with %v; want %v", name, v, test.panic)
							}
						}()
						if err := call(ctx); !errors.Is(err, test.err) {
							t.Errorf("%s returned %v; want %v", name, err, test.err)
						}
					}()
					if took := time.Since(start); took != test.took {
						t.Errorf("%s took %v; want %v", name, took, test.took)
					}
					cancel()
				}
			})
		})
	}
}

// A plainStore cannot hold tokens.
type plainStore struct{ store.Store }

// TestFaultyHolds: it holds what its Store can, so that a program with holds meets the fault.
func TestFaultyHolds(t *testing.T) {
	errDown := errors.New("down")
	var down atomic.Bool
	fault := storetest.Faulty{Store: memstore.New(memstore.Config{}), When: down.Load, Err: errDown}
	l, err := ratelimit.New(fault, ratelimit.PerHour(10), ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	first, err := l.Hold(t.Context(), "k", 4)
	if err != nil {
		t.Fatal(err)
	}
	second, err := l.Hold(t.Context(), "k", 4)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Settle(t.Context(), 1); err != nil {
		t.Error(err)
	}
	down.Store(true)
	if _, err := l.Hold(t.Context(), "k", 1); !errors.Is(err, errDown) {
		t.Errorf("Hold returns %v", err)
	}
	if err := second.Settle(t.Context(), 1); !errors.Is(err, errDown) {
		t.Errorf("Settle returns %v", err)
	}
	down.Store(false)
	if r, err := l.Peek(t.Context(), "k"); err != nil || r.Remaining() != 5 || r.State(0).Held != 4 {
		t.Errorf("1 spent and 4 held: %d left, %d held, %v", r.Remaining(), r.State(0).Held, err)
	}

	for name, test := range map[string]struct {
		store store.Store
		holds bool
	}{
		"none":        {nil, true},
		"in memory":   {memstore.New(memstore.Config{}), true},
		"cannot hold": {plainStore{memstore.New(memstore.Config{})}, false},
	} {
		f := storetest.Faulty{Store: test.store, When: down.Load}
		if store.CanHold(f) != test.holds {
			t.Errorf("%s: holds %v", name, !test.holds)
		}
		if all := []store.Settlement{{Key: "k"}}; !test.holds {
			if f.Settle(t.Context(), all); all[0].Err == nil {
				t.Errorf("%s: Settle returns no error", name)
			}
		}
	}
}

// TestFaultyReleases: settlements that come with a request meet the fault of the request, and are
// made without one.
func TestFaultyReleases(t *testing.T) {
	errDown := errors.New("down")
	limits := testkit.Limits(t, ratelimit.PerHour(10))
	for name, test := range map[string]struct {
		store storetest.Faulty
		err   bool // of the settlement
		left  int
	}{
		"no fault":    {storetest.Faulty{Store: memstore.New(memstore.Config{})}, false, 7},
		"error":       {storetest.Faulty{Store: memstore.New(memstore.Config{}), Err: errDown}, true, 0},
		"answer":      {storetest.Faulty{Answer: &store.Decision{Allowed: true}}, false, 10},
		"cannot hold": {storetest.Faulty{Store: plainStore{memstore.New(memstore.Config{})}}, true, 10},
	} {
		all := []store.Settlement{{Key: "k", Limits: limits, Actual: 3}}
		d, err := test.store.Take(t.Context(), store.Request{Key: "k", Limits: limits, Release: all, Timeout: time.Second})
		if (all[0].Err != nil) != test.err || err == nil && limits[0].Remaining(d.Debts[0]) != test.left {
			t.Errorf("%s: the settlement returns %v; Take %+v, %v", name, all[0].Err, d, err)
		}
	}
}
