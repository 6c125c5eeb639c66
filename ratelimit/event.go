package ratelimit

import "time"

// An Event tells an observer of one decision of Allow, AllowN or Wait. It does not
// hold the key: that may be a secret, and a metric label it must never be. A
// program that needs to know who called puts that into the context.
type Event struct {
	// Result is what was answered.
	Result Result
	// Err is the [store.Error] or [LimitError] because of which nothing could be
	// decided, else nil. [store.ErrorClass] gives the one class that it counts in.
	Err error
	// Took is how long the decision took.
	Took time.Duration
}
