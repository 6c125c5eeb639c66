// Package storetest is the contract of [ratelimit.Store] as a test suite.
//
// [Run] holds a store to every promise, one subtest for each. A store is done
// when it passes:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Harness{
//			New: func(t *testing.T) ratelimit.Store { return mystore.New() },
//		})
//	}
//
// A store that reads the clock of package time needs no more than that: each
// clause runs in a bubble of testing/synctest, where an hour passes at once. Any
// other store has a clock that the [Harness] steers. In either case the clock
// stands still between two steps of it, so that every answer can be foretold, and
// is compared to the last fraction of a microsecond.
//
// # The model
//
// A [Model] is the same contract as arithmetic: on fractions of unbounded size,
// slow, and written from the design, not from any store. The last clause compares
// the store with it over random histories, and a store's own tests can do so at
// greater length: a [History] makes up the steps.
//
// A random run logs its seed. The environment variable KEYRATE_SEED repeats it.
//
// This package imports testing, and is for tests only.
package storetest
