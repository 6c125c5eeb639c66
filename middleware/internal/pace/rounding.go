package pace

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// A rounding is by how much a bucket refills faster than reported. Windows are reported in
// whole seconds, rounded up: 2 tokens that come back in 100 ms look like 2 a second. But
// what remains shows the difference: the rate rises while the bucket is full whenever a
// request arrives, and falls when nothing remains. With the spare token, a rate that is
// twice too high does no harm.
type rounding struct {
	more   float64   // of the rate, so that the zero value is none
	set    time.Time // when more changed; only requests sent later change it again
	barred time.Time // more stays 0 before
}

const (
	roundingGrowth = 1.1
	roundingCut    = 0.8
	maxRounding    = 10_000
	roundingBar    = time.Minute // after a denial, for some servers report a wrong remainder
)

// learn takes a response into account, and returns the rate for the reported one.
func (s *rounding) learn(reported rate.Limit, t signals.Limit, quota int, o observation) rate.Limit {
	limit := reported * rate.Limit(1+s.more)
	paced := o.gap > 0 && o.gap.Seconds()*float64(limit) < 1.5 // sent as soon as the pace allowed
	factor := 1.0
	switch {
	case o.denied:
		factor = 0
		s.barred = o.now.Add(roundingBar)
	case !o.sent.After(s.set), o.now.Before(s.barred):
	case t.Remaining == 0:
		factor = roundingCut
	case t.Remaining >= quota-1 && paced:
		factor = roundingGrowth
	}
	if factor != 1 {
		most := float64(maxRounding)
		if t.Window > time.Second { // rounding added less than a second to the window
			most = 1 / (t.Window.Seconds() - 1)
		}
		s.more = min(max((1+s.more)*factor-1, 0), most)
		s.set = o.now
	}
	return reported * rate.Limit(1+s.more)
}
