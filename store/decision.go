package store

import (
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A Decision is a store's answer.
type Decision struct {
	Allowed bool
	// Overflow reports that the store had no room for a bucket of this key's own and used
	// one that keys share. It proves nothing about the key.
	Overflow bool
	// Source is what the decision is based on. A store that decides by its own buckets
	// leaves it at NoSource, which counts as FromStore.
	Source Source
	// Now is the time of the decision on the store's clock, in microseconds. Callers hand
	// it back as [Known.Seen], where 0 means undated: the clock must start at 1 or later.
	Now int64
	// RetryAfter is how long a denied caller must wait where that is longer than the debts
	// say, as for a share of a limit. It is 0 in most stores.
	RetryAfter time.Duration
	// Granted is how many tokens an admitted call got if [Request.Least] is set.
	Granted int
	// Debts are the debts of the request's limits, in its order: with the cost if it was
	// spent, as they were found if not.
	Debts [MaxLimits]gcra.Debt
	// Held is how many tokens of each bucket are held, what this call holds among them. They
	// take room beside the debt.
	Held [MaxLimits]int
}

// A Source is what a decision is based on.
type Source uint8

// The sources.
const (
	NoSource      Source = iota // nothing: there was an error, or the key is exempt
	FromStore                   // the store's own buckets
	FromKnowledge               // what this node knows of them: the store would have denied the call, and was not asked
	FromShare                   // this node's share of the limit: the store was down, failed, or was too slow
	FromLease                   // tokens that this node had taken from the store in advance
)

// String returns a constant word that is fit for a metric label: store, knowledge,
// share, lease or none.
func (s Source) String() string {
	switch s {
	case FromStore:
		return "store"
	case FromKnowledge:
		return "knowledge"
	case FromShare:
		return "share"
	case FromLease:
		return "lease"
	default:
		return "none"
	}
}
