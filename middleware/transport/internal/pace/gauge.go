package pace

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// A gauge finds out how fast a bucket refills by what remains in it: between two
// responses as much has come back as remains now, less what remained then, and one
// for each request. What remains is rounded down, so that this is right but for
// one; the rate lies between two bounds, which close in as time goes by.
type gauge struct {
	mark      reading // where it began
	remaining int
	full      bool // it was, since then
	most      int  // the most that ever remained
	low, high float64
}

// gaugeTime is after how long a gauge begins anew, for the rate may change.
const gaugeTime = 10 * time.Second

// largest returns the least that a quota must be of which this much remains.
func (g *gauge) largest(remaining int) int {
	g.most = max(g.most, min(remaining, signals.MaxCount-1)+1)
	return g.most
}

// read tells whether anything has come back for sure.
func (g *gauge) read(remaining, quota int, r reading) bool {
	elapsed := r.sent.Sub(g.mark.sent)
	if g.mark.number == 0 || r.refused {
		g.start(remaining, r)
		return false
	}
	// Requests that were under way at the beginning, or are now, may have been served
	// in another order than they were sent in.
	refilled := remaining - g.remaining + int(r.number-g.mark.number)
	least, most := refilled-r.unseen-g.mark.after, refilled+r.after+g.mark.unseen
	if elapsed <= 0 {
		return least > 0
	}
	low, high := float64(least-1)/elapsed.Seconds(), float64(max(most, 0)+1)/elapsed.Seconds()
	switch full := remaining >= quota-1; {
	case full || g.full:
		// More would have come back if there had been room.
		g.low, g.high = max(g.low, low), 0
		if g.full = true; !full || elapsed > gaugeTime {
			g.start(remaining, r)
		}
	default:
		g.low, g.high = low, high
		if elapsed > gaugeTime {
			g.start(remaining, r)
		}
	}
	return least > 0
}

func (g *gauge) start(remaining int, r reading) { g.mark, g.remaining, g.full = r, remaining, false }

// clamp returns the rate that is nearest to limit and can be right. What others take
// looks as if less came back, so that the upper bound is one for those alone.
func (g *gauge) clamp(limit rate.Limit, alone bool) rate.Limit {
	limit = max(limit, rate.Limit(g.low))
	if alone && g.high > 0 {
		limit = min(limit, rate.Limit(g.high))
	}
	return limit
}
