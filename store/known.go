package store

import "github.com/keyrate/keyrate/ratelimit/gcra"

// Knowledge is what a caller knows of a key's buckets: one entry for each limit of the
// request, in its order.
type Knowledge [MaxLimits]Known

// Known is a lower bound of one bucket's debt, from an earlier answer to a request with the
// same rate and period. The store decides by the larger of its own debt and
// min(Debt, TAT - now): see [gcra.Rate.Merge]. It ignores what is known if the bucket owes
// something that was spent under another rate or period. The zero Known knows nothing.
//
// Both are needed. Debt ages on the caller's clock from the moment its request went out,
// so a slow answer makes it too large by the trip. TAT is exact, but means nothing to a
// store that came back with another clock.
type Known struct {
	Debt gcra.Debt // in the denominator of the limit
	TAT  gcra.TAT  // on the store's clock; the zero TAT: only Debt is known
	// Seen is the time of the observation: the Now of its [Decision], in microseconds on
	// the store's clock. A Reset of the bucket makes the store ignore all observations up
	// to its own microsecond, which counts as older than the Reset. 0 means undated: such
	// an observation always counts, also after a Reset.
	Seen int64
}
