// Package virtual lets a store run in simulated time: on a simulated clock, with goroutines and
// timers of the simulation. Programs outside of this module cannot use it.
package virtual

import "time"

// A Time is the time of one simulated node. All that uses it runs on one thread, and never waits
// for anything else.
type Time interface {
	// Now returns the readings of the node's monotonic clock and of its wall clock, in
	// nanoseconds. The first starts at 1 or later.
	Now() (monotonic, wall int64)
	// Go runs f, now until it waits.
	Go(f func())
	// Wait returns when Wake is called with the same value, or after the timeout.
	Wait(on any, timeout time.Duration)
	Wake(on any)
	// After calls f once, after a time. It cannot be stopped.
	After(d time.Duration, f func())
}

// A Host is a store that runs in simulated time, and so does what stands in front of it.
type Host interface{ Virtual() Time }
