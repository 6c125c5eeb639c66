package pace

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// An estimator bounds the rate at which a bucket refills by what remains in it: between two
// responses, as much has come back as remains now, less what remained then, plus one for
// each request. What remains is rounded down, so that this may be wrong by one; the bounds
// converge with time.
type estimator struct {
	mark      observation // where it began
	remaining int
	full      bool // the bucket was, since then
	most      int  // a lower bound of the quota
	low, high float64
}

// estimateTime is after how long an estimator begins anew, for the rate may change.
const estimateTime = 10 * time.Second

// quota returns a lower bound of the quota, given what remains.
func (e *estimator) quota(remaining int) int {
	e.most = max(e.most, min(remaining, signals.MaxCount-1)+1)
	return e.most
}

// learn takes a response into account, and reports whether something has come back for
// sure.
func (e *estimator) learn(remaining, quota int, o observation) bool {
	elapsed := o.sent.Sub(e.mark.sent)
	if e.mark.number == 0 || o.denied {
		e.begin(remaining, o)
		return false
	}
	// Requests under way then or now may have been served in another order.
	refilled := remaining - e.remaining + int(o.number-e.mark.number)
	least, most := refilled-o.unseen-e.mark.after, refilled+o.after+e.mark.unseen
	if elapsed <= 0 {
		return least > 0
	}
	low, high := float64(least-1)/elapsed.Seconds(), float64(max(most, 0)+1)/elapsed.Seconds()
	full := remaining >= quota-1
	again := elapsed > estimateTime
	if full || e.full {
		// More would have come back if there had been room.
		e.low, e.high = max(e.low, low), 0
		e.full, again = true, again || !full
	} else {
		e.low, e.high = low, high
	}
	if again {
		e.begin(remaining, o)
	}
	return least > 0
}

func (e *estimator) begin(remaining int, o observation) {
	e.mark, e.remaining, e.full = o, remaining, false
}

// clamp returns the possible rate that is nearest to limit. What other nodes take looks as
// if less came back, so the upper bound counts only if this node is alone.
func (e *estimator) clamp(limit rate.Limit, alone bool) rate.Limit {
	limit = max(limit, rate.Limit(e.low))
	if alone && e.high > 0 {
		limit = min(limit, rate.Limit(e.high))
	}
	return limit
}
