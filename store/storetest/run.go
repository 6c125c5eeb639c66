package storetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A Harness makes the stores under test and moves their clock.
type Harness struct {
	// New returns a new store without buckets. It closes what must be closed with
	// t.Cleanup. Required.
	New func(t *testing.T) store.Store

	// Advance moves the clock of the store that New made last forward by d, a whole
	// number of microseconds. Between calls the clock must stand still, and it must
	// never be 0: see [store.Decision].
	//
	// If Advance is nil, the store must read package time. Then each clause, New
	// included, runs in a bubble of testing/synctest, in which every goroutine of the
	// store must end.
	Advance func(t *testing.T, d time.Duration)

	// SetBack sets the store's clock back by d. If SetBack is nil, the clauses about it
	// are left out.
	SetBack func(t *testing.T, d time.Duration)

	// BriefReset says that the store remembers a Reset for one refill of the limit, or 20
	// seconds if that is longer, and no longer: by then no older debt or hold can be left. A
	// claim of one counts again. Otherwise a Reset is remembered for ever.
	BriefReset bool

	// Histories is the number of random histories that are compared with the [Model]. 0
	// means 100.
	Histories int
}

// Run tests the stores that h makes against the contract of [store.Store], with one
// subtest for each promise.
func Run(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("storetest: Harness.New is nil; set it to a function that returns an empty store")
	}
	for _, c := range clauses() {
		if c.setsBack && h.SetBack == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Helper()
			if err := c.run(t, h); err != nil {
				t.Errorf("%s: %v", c.promise, err)
			}
		})
	}
}

// A clause is one promise and its test.
type clause struct {
	name     string
	promise  string
	check    func(p *probe)
	setsBack bool // needs Harness.SetBack
	holds    bool // needs a store that can hold tokens
}

// clauses returns the contract, the simplest promises first.
func clauses() []clause {
	var all []clause
	for _, part := range [][]clause{
		bucketClauses, costClauses, policyClauses, keyClauses, fractionClauses, changeClauses,
		knownClauses, resetClauses, clockClauses, concurrentClauses, windowClauses, holdClauses, leaseClauses, modelClauses,
	} {
		all = append(all, part...)
	}
	return all
}

// run tests one clause on a new store and returns the fault of the store, if any.
func (c clause) run(t *testing.T, h Harness) (err error) {
	if h.Advance != nil {
		return c.try(t, h)
	}
	h.Advance = func(_ *testing.T, d time.Duration) { time.Sleep(d) }
	synctest.Test(t, func(t *testing.T) { err = c.try(t, h) })
	return err
}

// try is run with a Harness whose Advance is set.
func (c clause) try(t *testing.T, h Harness) (err error) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case failure:
			err = v
		default:
			panic(v)
		}
	}()
	p := &probe{t: t, ctx: t.Context(), harness: h, store: h.New(t)}
	if !c.holds || store.CanHold(p.store) {
		c.check(p)
	}
	return nil
}
