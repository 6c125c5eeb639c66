package pace

import (
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// probeTime is how long others wait for the response to a request that goes alone, to
// probe the limits. After that, a second one goes.
const probeTime = time.Second

// A backoff delays requests after a denial, as long as that asks for. While the wait is
// longer than Config.MaxWait, one request in each MaxWait probes. After the wait the first
// request goes alone, so that its response sets the pace of the others: another node may
// use what has come back. The zero backoff delays nothing.
type backoff struct {
	until  time.Time // nothing is sent before
	probe  time.Time // except one request, then
	first  time.Time // when the first one after until was sent, zero before
	prober uint64    // the number of the request that probes, or of the first
}

// start begins a wait, unless one lasts longer.
func (b *backoff) start(now time.Time, wait, maxWait time.Duration) {
	if until := now.Add(wait); until.After(b.until) {
		b.until, b.probe, b.first = until, now.Add(maxWait), time.Time{}
	}
}

// delay returns how long the next request must wait.
func (b *backoff) delay(now time.Time) time.Duration {
	if now.Before(b.probe) {
		return b.until.Sub(now)
	}
	return 0
}

// probing returns how much longer the next request must wait for the response to the first.
func (b *backoff) probing(now time.Time) time.Duration {
	if b.first.IsZero() {
		return 0
	}
	return b.first.Add(probeTime).Sub(now)
}

// sent notes that a request is sent.
func (b *backoff) sent(now time.Time, number uint64, maxWait time.Duration) {
	switch {
	case b.until.After(now):
		b.prober, b.probe = number, now.Add(maxWait)
	case !b.until.IsZero() && b.first.IsZero():
		b.prober, b.first = number, now
	default:
		b.until, b.first = time.Time{}, time.Time{}
	}
}

// answered ends the wait with the response to the request that probes. If it is a denial,
// another wait starts.
func (b *backoff) answered(number uint64) {
	if number == b.prober {
		b.until, b.first = time.Time{}, time.Time{}
	}
}

// firstBackoff is the wait after a denial that asks for none. It doubles with each attempt
// of the same request.
const firstBackoff = time.Second

// waitAfter returns how long a request waits after its n-th attempt was denied.
func (p *Pace) waitAfter(d signals.Denial, limits signals.Limits, n int) time.Duration {
	if d.Wait > 0 {
		return d.Wait
	}
	var usedUp, end, reset time.Duration
	for _, t := range limits.All {
		switch {
		case t.Remaining == 0:
			usedUp = max(usedUp, p.untilNext(t, n))
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
	case n > 1 && reset > 0:
		// A limit that is not reported is used up; most likely it ends with a window that is.
		return reset
	}
	return firstBackoff << min(n-1, 20)
}

// untilNext returns how long it takes until a limit that is used up admits a request: until
// its reset or, if it is a bucket, its next token.
func (p *Pace) untilNext(t signals.Limit, n int) time.Duration {
	l := p.limiter(t.Name)
	known := t.Unit == "" && l != nil
	switch {
	case !t.Refills && t.Reset == 0 && known:
		return time.Until(l.resets)
	case !t.Refills, known && !l.kind.isBucket(true), !known && n > 1:
		return t.Reset
	}
	return t.Next()
}
