package pace

import (
	"cmp"
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// guessedWindow is the window of a quota that is reported without one: the most common
// one. The guess is at least 1 a second, for it is soon corrected, and of a small quota
// little is lost.
const guessedWindow = time.Minute

// learn takes over a report, and returns false if it does not suffice to set a pace.
func (l *limiter) learn(t signals.Limit, o observation) bool {
	t.Reset = l.start.reset(t, o)
	if l.window && t.Reset == 0 && o.sent.Before(l.resets) {
		return true // it reports a window that is over
	}
	before := l.resets
	l.kind.learn(t, o, before)
	bucket := l.isBucket(t)
	t.Refills = t.Refills && l.kind.isBucket(true)
	if t.Reset > 0 && !bucket && !o.now.Before(before) {
		l.estimate.mark = observation{} // what came back with a new window says nothing
	}
	l.renew(t, o)
	switch {
	case t.Remaining == signals.Unknown && t.Window > 0 && l.quota > 0:
		l.fillBlindly(l.rateOf(t), o)
		return true
	case t.Remaining == signals.Unknown || l.quota == 0:
		return false
	}
	l.strict = l.strict || o.denied && l.bucket != nil && !bucket
	l.hold = l.strict && o.now.Sub(o.sent) < t.Reset // a response that took longer may be outdated
	// A bucket of one denies a request that is slightly early; other nodes are not the reason.
	early := o.denied && l.quota == 1 && o.wait > 0 && o.wait < t.Window/4
	l.share.learn(o, l.bucket != nil && !early)
	if l.estimate.learn(t.Remaining, l.quota, o) && t.Window > 0 && o.now.Before(before) {
		l.refills = true
	}
	l.learnLeft(t.Remaining, o, before)
	if l.exact = t.Window; t.Window%time.Second == 0 {
		l.exact = 0
	}
	limit := l.rateOf(t)
	l.guess = limit == 0
	if t.Window > 0 && l.exact == 0 && l.quota > 1 && limit >= spareRate {
		limit = l.rounding.learn(limit, t, l.quota, o)
	}
	if limit == 0 && !l.resets.IsZero() && !bucket {
		l.window = true
		l.spread(o)
		return true
	}
	if limit == 0 {
		limit = l.estimate.clamp(l.rate(), l.share.ceded == 0)
	}
	l.limit = limit
	l.fill(t.Remaining, o)
	return true
}

// isBucket reports whether the limit is a bucket, by the report and by what responses
// showed.
func (l *limiter) isBucket(t signals.Limit) bool { return l.refills || l.kind.isBucket(t.Refills) }

// renew replaces what the last report said.
func (l *limiter) renew(t signals.Limit, o observation) {
	l.window, l.hold = false, false
	l.probed, l.until, l.resets = time.Time{}, time.Time{}, time.Time{}
	if l.quota = t.Quota; l.quota == 0 {
		l.quota = l.estimate.quota(t.Remaining)
	}
	l.staleAt = o.now.Add(o.maxWait / 2) // so that a request that is waiting now can probe
	if o.denied && o.wait > 0 && t.Quota == 0 && t.Reset == 0 {
		l.staleAt = earlier(l.staleAt, o.now.Add(o.wait)) // the wait is reported, the rate a guess
	}
	if t.Reset > 0 {
		l.resets = o.now.Add(t.Reset)
	}
}

// learnLeft bounds what is left of a window by what remained on the server.
func (l *limiter) learnLeft(remaining int, o observation, before time.Time) {
	least, most := max(remaining-o.after-o.unseen, 0), max(remaining-o.after+o.beside, 0)
	if !o.now.Before(before) {
		l.left = least // another window
	}
	l.left = min(max(l.left, least), most)
}

// learnLate takes over a denial that comes after the response to a later request: what
// remained is outdated, but that nothing had come back is not.
func (l *limiter) learnLate(t signals.Limit) {
	l.strict = l.strict || t.Remaining == 0 && l.bucket != nil && !l.isBucket(t)
}

// rateOf returns the rate that a report states, 0 if it states none.
func (l *limiter) rateOf(t signals.Limit) rate.Limit {
	switch {
	case t.Window > 0:
		return rate.Limit(float64(cmp.Or(t.Refill, l.quota)) / t.Window.Seconds())
	case !t.Refills:
		return 0
	case t.Reset > 0 && t.Remaining >= 0 && t.Remaining < l.quota:
		return rate.Limit(float64(l.quota-t.Remaining) / t.Reset.Seconds())
	}
	return l.rate() // it is full
}

// rate returns the rate so far, or a guess.
func (l *limiter) rate() rate.Limit {
	if l.limit > 0 {
		return l.limit
	}
	return max(rate.Limit(float64(l.quota)/guessedWindow.Seconds()), 1)
}
