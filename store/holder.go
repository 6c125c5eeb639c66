package store

import (
	"context"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// Holder is implemented by a [Store] that can hold tokens: [Request.Hold], and limits on
// concurrent calls, which are loans, need it. A wrapper implements it by what it wraps.
type Holder interface {
	// Settle ends holds, or renews them, in as few trips as the store can. It sets the
	// results of each settlement, its Err above all. It ends with its context.
	Settle(ctx context.Context, s []Settlement)
	// Holds reports whether the store can hold tokens.
	Holds() bool
}

// SingleHolder is an optional fast path of a [Holder] that is a [SingleTaker].
type SingleHolder interface {
	// HoldOne is Take for the single limit l, nothing known, and a [Hold] that does not spend.
	// It returns the name of what is held.
	HoldOne(key string, l *Limit, n int) (name int64, d gcra.Debt, held int, allowed bool)
	// SettleOne is Settle for the single limit l in which held tokens are held under a name
	// that is not 0. It returns the Lost of a [Settlement].
	SettleOne(key string, l *Limit, name int64, held, actual int) (lost int)
}

// CanHold reports whether a store is a [Holder] that holds.
func CanHold(s Store) bool {
	h, ok := s.(Holder)
	return ok && h.Holds()
}

// A Settlement ends one hold, renews it, or charges a key for what was never held. It is
// sent once: a settlement whose answer is lost counts as done. A renewal may be repeated.
type Settlement struct {
	Home   string
	Key    string
	Limits []Limit          // those of the request, or some of them
	Names  [MaxLimits]int64 // as [Hold.Names], for these limits; a renewal sets the new ones
	// Held is how many tokens are held no more, or are renewed. It may be a part of what is held
	// under the names: the rest stays held under the same names. Of a loan it is always 1.
	Held int
	// Actual is how many tokens were spent, whether there is room for them or not: from 0 to
	// twice [gcra.MaxBurst], as which a larger number counts.
	// A limit in whose bucket nothing is held is charged for them as well, so that a
	// Settlement without names is a charge. Loans are not charged.
	Actual int
	// Renew keeps the hold instead, for ten to twenty seconds from now. Actual is then ignored.
	Renew bool

	Now   int64                // set by the store, as in [Decision]
	Debts [MaxLimits]gcra.Debt // set by the store, as in [Decision]
	Lost  int                  // set by the store: the tokens of Actual that no bucket has room to owe
	Err   error                // set by the store: an [*Error], or nil
}
