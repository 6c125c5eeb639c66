package store

import (
	"context"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A Store keeps buckets and decides calls, atomically. Its methods are safe for
// concurrent use. If a Store has a method Validate() error, ratelimit.New returns its error.
type Store interface {
	// Take decides one call. If every limit admits it, Take charges the cost to all of
	// them; otherwise it charges none. A cost of 0 charges nothing and only reads. A
	// denial also stores a debt that was clamped to the capacity or rescaled: see
	// [gcra.Rate.DebtAt].
	//
	// An error means that nothing was decided. The call may have been charged then, but
	// at most once.
	Take(ctx context.Context, r Request) (Decision, error)

	// Reset fills the buckets of the limits of r, which has no other fields set than Home, Key
	// and Limits. It overrides everything that callers of Take know of their debts from
	// before, and voids what is held.
	Reset(ctx context.Context, r Request) error
}

// DefaultTimeout is how long a decision may take unless a configuration says otherwise.
const DefaultTimeout = 50 * time.Millisecond

// MaxLimits is how many limits one call can be held to.
const MaxLimits = 4

// A Request is one call to be decided.
type Request struct {
	// Home is what the key belongs to, such as an organisation; "" if it stands alone. All
	// keys of a home share the buckets of its [Limit.Shared] limits. The same key in another
	// home has other buckets.
	Home string
	Key  string
	// Limits are the one to [MaxLimits] limits that decide together; their names differ.
	// The store must not change them, but may keep the slice: it never changes. For any
	// other number the store returns an error.
	Limits []Limit
	// Cost is the call's price in tokens. A cost below 0 or above a limit's burst is
	// denied, unless Least is set.
	Cost int
	// Least, if not 0, admits the call also if fewer tokens than Cost are there, but at
	// least so many: then it takes all that are there, see [Decision.Granted].
	Least int
	// Hold, if not nil, makes the call hold the cost instead of spending it, and takes the
	// names of what is held. It needs a [Holder]. The store must not keep the pointer.
	Hold *Hold
	// Timeout is how long the caller waits. A store that waits for something must end
	// within it, or within its context's deadline; see [SelfTimed].
	Timeout time.Duration
	// Known, if not nil, is what the caller knows of the key's buckets. The store must
	// not keep the pointer.
	Known *Knowledge
	// Release are settlements of the same home and key that are made in the same trip, before
	// the call is decided, and whatever is decided. They need a [Holder]. Their results are
	// set as [Holder.Settle] sets them; one that was not made has an Err that is NotCharged. The
	// store must not keep the slice.
	Release []Settlement
}

// A Hold is what one call holds: see package gcra for what becomes of it.
type Hold struct {
	// Spend makes the call spend the cost under limits of a rate all the same. It then holds
	// its tokens of loans alone: see [gcra.NewLoan].
	Spend bool
	// Lease is how many tokens an admitted call would like to hold beside the cost, which it
	// spends: Spend must be set. The cost may be 0. It gets as many as all limits have left, and
	// no more of a bucket than what is held there in the class [gcra.Short] leaves of half the
	// burst, rounded down. Under a loan it gets none.
	Lease int
	// Leased is set by the store: how many tokens of each bucket are held, from 0 to Lease.
	Leased int
	// Names are set by the store: the name of what is held in the bucket of each limit of the
	// request, in its order, or 0 if nothing is.
	Names [MaxLimits]int64
}

// Partitioned is implemented by a [Store] that keeps its buckets on several servers,
// which fail one by one. A store in front of it then stops asking only those that fail.
type Partitioned interface {
	// Partition names the part of the store that has the buckets of a key in a home now, which
	// is the same for all keys of a home; "" if that is unknown or there is only one. It does
	// no I/O, and is called for each decision.
	Partition(home, key string) string
}

// SelfTimed is implemented by a [Store] that ends every call within [Request.Timeout] by
// itself, and by limits that never wait. A limiter gives any other a context with a
// deadline, which costs a timer, and turns its panics into errors. A SelfTimed one must
// not panic.
type SelfTimed interface {
	SelfTimed()
}

// SingleTaker is an optional fast path of a [Store] in memory. It decides a single limit
// with an answer that fits into registers, where moving a [Decision] would be a fifth of
// the time.
type SingleTaker interface {
	// TakeOne is Take for the single limit l of a key without a home, with nothing known and
	// nothing to hold.
	TakeOne(key string, l *Limit, cost int) (d gcra.Debt, held int, allowed bool)
	// Self returns the receiver. A type that embeds the store and has its own Take is
	// recognized by it; its TakeOne is not called.
	Self() Store
}

// LeaseTaker is an optional fast path of a [Store] that decides some calls in memory, [FromLease].
type LeaseTaker interface {
	// TakeLeased is Take for the only one of limits and a key without a home, if leased tokens
	// cover the cost; then the call is admitted. If ok is false, nothing was done: Take decides.
	TakeLeased(key string, limits []Limit, cost int) (d gcra.Debt, held int, ok bool)
	// Self returns the receiver, as that of a [SingleTaker].
	Self() Store
}
