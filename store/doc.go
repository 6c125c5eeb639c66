// Package store is the contract between a limiter and the stores that keep its buckets.
//
// A [Store] has two methods. Take decides one call by one to four limits and, if all of
// them admit it, charges them; Reset fills the buckets of a key. A bucket is kept as a
// [gcra.TAT], one for each key and limit, and a full bucket need not be kept at all.
//
// The suite in package storetest checks every clause of the contract: a store is done
// when it passes. The page docs/adding-a-store.md builds one in forty lines.
//
// What a store does beyond that it offers through optional interfaces: [Checker],
// [SelfTimed], [SingleTaker], [LeaseTaker] and [Partitioned]. A limiter calls a store that does
// not end its calls in time by itself through [Guard].
package store
