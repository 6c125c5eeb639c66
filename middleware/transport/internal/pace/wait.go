package pace

import (
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// firstBackOff is the wait after a denial that does not tell one. It doubles with
// each attempt of the same request.
const firstBackOff = time.Second

// waitAfter returns how long the request waits after a denial.
func (p *Pace) waitAfter(d signals.Denial, limits signals.Limits, attempt int) time.Duration {
	if d.Wait > 0 {
		return d.Wait
	}
	var usedUp, end, reset time.Duration
	for _, t := range limits.All {
		switch {
		case t.Remaining == 0:
			usedUp = max(usedUp, p.waitFor(t, attempt))
		case t.Remaining == signals.Unknown && t.Quota == 0:
			end = max(end, t.Reset)
		case t.Remaining > 0 && t.Reset <= p.maxWait:
			reset = max(reset, t.Reset)
		}
	}
	switch {
	case usedUp > 0:
		return usedUp
	case end > 0:
		return end
	case attempt > 1 && reset > 0:
		// A limit that is not reported is used up; most likely it ends with a window that is.
		return reset
	}
	return firstBackOff << min(attempt-1, 20)
}

// waitFor returns how long it takes until something is left of a limit that is used
// up: until its reset, or the first share of that if it is a bucket.
func (p *Pace) waitFor(t signals.Limit, attempt int) time.Duration {
	l := find(p.lanes, t.Name)
	if !t.Refills {
		if t.Reset == 0 && t.Unit == "" && l != nil {
			return time.Until(l.resets)
		}
		return t.Reset
	}
	if t.Unit == "" && l != nil {
		if !l.evidence.refills(true) {
			return t.Reset
		}
	} else if attempt > 1 {
		return t.Reset
	}
	return t.Next()
}
