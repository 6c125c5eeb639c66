// Package storetest tests a store against the contract of [store.Store].
//
// [Run] has one subtest for each promise. A store is done when it passes:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, storetest.Harness{
//			New: func(t *testing.T) store.Store { return mystore.New() },
//		})
//	}
//
// That suffices for a store that reads package time: each clause runs in a bubble of
// testing/synctest, where an hour passes at once. For any other store the [Harness] moves
// the clock. In both cases the clock stands still between two steps, so every answer is
// known in advance and compared to the last fraction of a microsecond.
//
// # The model
//
// A [Model] is the same contract as arithmetic on fractions of unbounded size. It is slow,
// and written from the design, not from any store. The last clause compares the store with
// it over random histories. A store's own tests can compare longer ones: a [History] makes
// up the steps.
//
// A random run logs its seed. The environment variable KEYRATE_SEED repeats it.
//
// # A failing store
//
// A [Faulty] store fails as a test says: for tests of what a program does when its store is
// slow, down or broken.
//
// This package imports testing and is for tests only.
package storetest
