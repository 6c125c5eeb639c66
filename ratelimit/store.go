package ratelimit

import (
	"context"
	"time"
)

// A Store keeps the buckets and decides, atomically. Its methods are safe for
// concurrent use. The contract, clause by clause, is the test suite of package
// storetest: a store is done when it passes.
type Store interface {
	// Take decides one call and, if every limit of the policy admits it, charges
	// all of them; otherwise it charges none. A cost of 0 charges nothing and
	// only tells the state. A denial, too, stores a debt that was clamped.
	//
	// The error says that nothing could be decided; the call may then have been
	// charged, but at most once.
	Take(ctx context.Context, r Request) (Decision, error)

	// Reset fills the key's buckets of this policy. It wins over whatever other
	// callers of Take still know of their debts.
	Reset(ctx context.Context, key string, p *Policy) error
}

// A Request is what a [Store] is asked to decide.
type Request struct {
	Key    string
	Policy *Policy // valid and not Unlimited; for any other, the store returns an error
	Cost   int     // in tokens; one below 0 or above a limit's burst is denied
	// Timeout is how long the caller will wait. A store that waits for something
	// must honour it, or its context's deadline; see [SelfTimed].
	Timeout time.Duration
	// Known, if not nil, is what the caller has seen of the key's buckets. The
	// store must not keep the pointer beyond the call.
	Known *Knowledge
}

// Knowledge is what a caller knows of the buckets of a key, one entry per limit
// of the policy, in its order. The zero Known knows nothing.
type Knowledge [MaxLimits]Known

// Known is a lower bound of one bucket's debt, from somebody who has seen it. The
// store decides on the larger of its own debt and min(Debt, TAT - now).
//
// Both are needed. Debt ages on the caller's clock from the moment its question
// went out, so a slow answer makes it too large by the trip; TAT is exact, but on
// a store that came back with another clock it means nothing.
type Known struct {
	Debt Debt  // in the denominator of the limit's Bucket
	TAT  TAT   // on the store's clock, as it was seen; the zero TAT: only Debt is known
	Seen int64 // when it was seen, in microseconds on the store's clock; what is older than a Reset is ignored
}

// A Decision is what a [Store] answers.
type Decision struct {
	Allowed bool
	// Overflow says that the store had no room for a bucket of this key's own
	// and used one that it shares with others. Nothing can be concluded from it
	// about the key.
	Overflow bool
	// Source says what the decision is founded on. A store that decides by its own
	// buckets leaves it as it is: then it is FromStore.
	Source Source
	// Now is the instant of the decision on the store's clock, in microseconds.
	Now int64
	// RetryAfter is how long a caller that was denied must wait, where that is longer than
	// the debts tell: so it is of a share of the limit. Mostly it is 0.
	RetryAfter time.Duration
	// Debts are the debts of the policy's limits, in its order: with the cost
	// when it was charged, as they were found when it was not.
	Debts [MaxLimits]Debt
}

// A Source says what a decision is founded on.
type Source uint8

// The sources.
const (
	NoSource      Source = iota // nothing: there was an error, or the key is exempt
	FromStore                   // the store's own buckets
	FromKnowledge               // what is known of them here: the store would have refused the call, and was not asked
	FromShare                   // this process' share of the limit: the store was away, failed, or was not reached in time
)

// String returns a constant word that is fit for a metric label: store, knowledge, share
// or none.
func (s Source) String() string {
	switch s {
	case FromStore:
		return "store"
	case FromKnowledge:
		return "knowledge"
	case FromShare:
		return "share"
	default:
		return "none"
	}
}

// Partitioned is implemented by a [Store] that keeps its buckets on several servers,
// which fail one by one: what stands in front of it then gives up on those alone that
// fail.
type Partitioned interface {
	// Partition names the part of the store that has the key's buckets now; "" where it
	// is not known, or there is but one. It does no I/O, and is called for each decision.
	Partition(key string) string
}

// SelfTimed is implemented by a [Store] that ends every call within
// [Request.Timeout] by itself, or never waits at all, and by [Limits] that never
// wait. For any other the [Limiter] puts a deadline on the context of each call,
// which costs a timer, and makes a panic an error; a SelfTimed one must not panic.
type SelfTimed interface {
	SelfTimed()
}

// SingleTaker is implemented by a [Store] in memory that decides a single limit
// with an answer that fits into registers: where a decision takes some fifty
// nanoseconds, a Decision on its way costs ten. It is an offer, not a duty.
type SingleTaker interface {
	// TakeOne is Take for a policy of the one limit b, with nothing known. If ok is
	// false it has done nothing, and Take is called.
	TakeOne(key string, b *Bucket, cost int) (d Debt, allowed, ok bool)
	// Self returns the receiver. By it a type that embeds the store, and has a Take
	// of its own, is told from the store: then TakeOne is not called.
	Self() Store
}
