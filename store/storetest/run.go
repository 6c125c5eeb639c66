package storetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A Harness makes the stores that are tested and moves their clock.
type Harness struct {
	// New returns a new store without any bucket. What must be closed, it closes
	// in t.Cleanup. Required.
	New func(t *testing.T) ratelimit.Store

	// Advance lets d, a whole number of microseconds, pass on the clock of the
	// store that New made last. Between calls the clock must stand still.
	//
	// nil means that the store reads package time: then each clause, New included,
	// runs in a bubble of testing/synctest, in which every goroutine that the
	// store starts must end.
	Advance func(t *testing.T, d time.Duration)

	// SetBack sets the store's clock back by d. nil means that it cannot be set
	// back, and leaves out the clauses about it.
	SetBack func(t *testing.T, d time.Duration)

	// CoarseReset says that a Reset of one key makes the store ignore what was
	// known of any key before it. Without it, only of that key's buckets.
	CoarseReset bool

	// BriefReset says that a Reset is remembered for one refill of the limit that it
	// was given: nobody can know of an older debt by then. What claims to counts again.
	BriefReset bool

	// Histories is how many random histories are compared with the [Model]. 0
	// means 100.
	Histories int
}

// Run holds the stores that h makes to the contract of [ratelimit.Store], in one
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

// A clause is one promise and the way to test it.
type clause struct {
	name     string
	promise  string
	check    func(p *probe)
	setsBack bool // needs Harness.SetBack
}

// clauses returns the contract, the simplest promises first.
func clauses() []clause {
	var all []clause
	for _, part := range [][]clause{
		bucketClauses, costClauses, policyClauses, keyClauses, fractionClauses, changeClauses,
		knownClauses, resetClauses, clockClauses, concurrentClauses, windowClauses, healthClauses, modelClauses,
	} {
		all = append(all, part...)
	}
	return all
}

// run tests one clause on a new store and returns what is wrong with it.
func (c clause) run(t *testing.T, h Harness) (err error) {
	if h.Advance != nil {
		return c.try(t, h)
	}
	h.Advance = func(_ *testing.T, d time.Duration) { time.Sleep(d) }
	synctest.Test(t, func(t *testing.T) { err = c.try(t, h) })
	return err
}

// try is run, where the clock can be moved.
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
	c.check(&probe{t: t, ctx: t.Context(), harness: h, store: h.New(t)})
	return nil
}
