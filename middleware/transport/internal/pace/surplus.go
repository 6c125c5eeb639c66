package pace

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// A surplus is by how much a bucket fills up faster than is told. A window is told in
// whole seconds, rounded up, so that of 2 tokens that come back in 100 ms no more
// can be told than 2 a second. But what remains shows it: the pace rises as long as
// the bucket is full whenever a request comes, and falls when nothing remains. With
// the token that is spared, a rate that is twice too high does no harm.
type surplus struct {
	more   float64   // of the rate, so that the zero value is none
	set    time.Time // when it was; next by a response to a request that was sent later
	barred time.Time // it is none before
}

const (
	surplusGrowth = 1.1
	surplusCut    = 0.8
	maxSurplus    = 10_000
	surplusBar    = time.Minute // after a refusal, for some servers tell what is not so
)

// read takes a response into account, and returns the rate for one that is told.
func (s *surplus) read(told rate.Limit, t signals.Limit, quota int, r reading) rate.Limit {
	limit := told * rate.Limit(1+s.more)
	held := r.gap > 0 && r.gap.Seconds()*float64(limit) < 1.5 // it came as soon as the pace allowed
	factor := 1.0
	switch {
	case r.refused:
		factor = 0
		s.barred = r.now.Add(surplusBar)
	case !r.sent.After(s.set), r.now.Before(s.barred):
	case t.Remaining == 0:
		factor = surplusCut
	case t.Remaining >= quota-1 && held:
		factor = surplusGrowth
	}
	if factor != 1 {
		// Rounding took less than a second off the window.
		most := float64(maxSurplus)
		if t.Window > time.Second {
			most = 1 / (t.Window.Seconds() - 1)
		}
		s.more = min(max((1+s.more)*factor-1, 0), most)
		s.set = r.now
	}
	return told * rate.Limit(1+s.more)
}
