package pace

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// guessedWindow is the window of a quota of which nothing but the number is told: the
// one that is most in use. The guess is 1 a second at least, for it is soon put right,
// and of a small quota hardly anything is lost.
const guessedWindow = time.Minute

// A lane is one limit of a pace. There are two kinds:
//
//   - A bucket that fills up all the time. Each response sets its tokens to what
//     remains on the server, so that a rate which is a little wrong does no harm.
//   - A window, of which only the end is told. Requests are spread over it.
//
// A lane begins as a window if nothing but an end is told, and becomes a bucket when
// more remains before that end than a window would leave.
type lane struct {
	name   string
	id     uint64 // counts those of a pace
	routes int    // how many have it
	sent   uint64 // how many requests that count against it were sent
	newest uint64 // the number of the last one whose response was read
	gate   gate   // of denials that name it
	bucket *rate.Limiter
	limit  rate.Limit // the rate of all who share it, as was told or found out
	guess  bool       // it was not told
	quota  int
	refill bool          // a bucket of which the window is told, as was seen
	strict bool          // refused while there should have been tokens: when none remains, wait for the reset
	hold   bool          // it does so now
	exact  time.Duration // the window, where it is told finer than in seconds
	resets time.Time     // zero if it was not told
	until  time.Time     // nothing remains before
	window bool          // left holds up to resets
	left   int           // of a window
	asks   time.Time     // what was told holds up to here; then one request goes alone and asks
	asked  time.Time     // when it went

	opening  opening
	evidence evidence
	gauge    gauge
	share    share
	surplus  surplus
}

// read takes over what a response tells, and returns false if that is not enough
// to go by.
func (l *lane) read(t signals.Limit, r reading) bool {
	if l.window && t.Reset == 0 && r.sent.Before(l.resets) {
		return true // it tells of a window that is over
	}
	before := l.resets
	l.evidence.read(t, r, before)
	t.Refills = t.Refills && l.evidence.refills(true)
	refills := t.Refills || l.refill || l.evidence.refills(false)
	if t.Reset > 0 && !refills && !r.now.Before(before) {
		l.gauge.mark = reading{} // what came back with a new window tells nothing
	}
	l.window, l.hold = false, false
	l.quota, l.asked, l.until, l.resets = t.Quota, time.Time{}, time.Time{}, time.Time{}
	if l.quota == 0 {
		l.quota = l.gauge.largest(t.Remaining)
	}
	l.asks = r.now.Add(r.maxWait / 2) // so that a request that came before can do so
	if r.refused && r.wait > 0 && t.Quota == 0 && t.Reset == 0 {
		l.asks = earlier(l.asks, r.now.Add(r.wait)) // the wait is told, and the rate is a guess
	}
	if t.Reset > 0 {
		l.resets = r.now.Add(t.Reset)
	}
	switch {
	case t.Remaining == signals.Unknown && t.Window > 0 && l.quota > 0:
		l.count(l.rateOf(t), r)
		return true
	case t.Remaining == signals.Unknown || l.quota == 0:
		return false
	}
	l.strict = l.strict || r.refused && l.bucket != nil && !refills
	// What took longer to arrive than the reset is away may be over by now.
	l.hold = l.strict && r.now.Sub(r.sent) < t.Reset
	// In a bucket of one a request is denied that comes a little early; others are not to blame.
	early := r.refused && l.quota == 1 && r.wait > 0 && r.wait < t.Window/4
	l.share.read(r, l.bucket != nil && !early)
	refilled := l.gauge.read(t.Remaining, l.quota, r)
	if refilled && t.Window > 0 && r.now.Before(before) {
		l.refill = true
	}
	least, most := max(t.Remaining-r.after-r.unseen, 0), max(t.Remaining-r.after+r.beside, 0)
	if l.left = max(l.left, least); r.now.Before(before) {
		l.left = min(l.left, most)
	} else {
		l.left = least
	}
	limit := l.rateOf(t)
	l.guess = limit == 0
	l.exact = t.Window
	if t.Window%time.Second == 0 {
		l.exact = 0
	}
	if t.Window > 0 && l.exact == 0 && l.quota > 1 && limit >= spareRate {
		limit = l.surplus.read(limit, t, l.quota, r)
	}
	if limit == 0 && !l.resets.IsZero() && !refills {
		l.window = true
		l.spread(r)
		return true
	}
	if limit == 0 {
		limit = l.gauge.clamp(l.rate(), l.share.less == 0)
	}
	l.limit = limit
	l.follow(t.Remaining, r)
	return true
}

// overtaken takes over a denial that comes after the response to a later request: what
// remained is no news, but that nothing had come back is.
func (l *lane) overtaken(t signals.Limit) {
	refills := t.Refills && l.evidence.refills(true) || l.refill || l.evidence.refills(false)
	l.strict = l.strict || t.Remaining == 0 && l.bucket != nil && !refills
}

// rateOf returns the rate of a limit that tells it, else 0.
func (l *lane) rateOf(t signals.Limit) rate.Limit {
	switch {
	case t.Window > 0 && t.Refill > 0:
		return rate.Limit(float64(t.Refill) / t.Window.Seconds())
	case t.Window > 0:
		return rate.Limit(float64(l.quota) / t.Window.Seconds())
	case !t.Refills:
		return 0
	case t.Reset > 0 && t.Remaining >= 0 && t.Remaining < l.quota:
		return rate.Limit(float64(l.quota-t.Remaining) / t.Reset.Seconds())
	}
	return l.rate() // it is full
}

// rate returns the rate so far, or a guess.
func (l *lane) rate() rate.Limit {
	if l.limit > 0 {
		return l.limit
	}
	return max(rate.Limit(float64(l.quota)/guessedWindow.Seconds()), 1)
}

// delay returns how long the request must wait that has so many in front of it; and how
// long it should, so that a window lasts until its end.
func (l *lane) delay(now time.Time, ahead int) (must, should time.Duration) {
	if l.over(now) {
		return 0, 0
	}
	tokens := l.bucket.TokensAt(now)
	should = spacing(l.bucket.Limit(), float64(1+ahead)-tokens)
	if !l.window {
		must = should
		if l.guess && ahead < l.quota && now.Before(l.resets) {
			must = min(must, l.resets.Sub(now)) // then it is full, however slow it seems
		}
	}
	if (l.window || l.hold) && l.left <= ahead {
		must = max(must, l.resets.Sub(now))
	}
	if ahead == 0 {
		must, should = min(must, l.asks.Sub(now)), min(should, l.asks.Sub(now)) // then it may ask
	}
	must = max(must, l.until.Sub(now))
	return must, max(must, should)
}

// over tells whether what was told does not hold any more.
func (l *lane) over(now time.Time) bool {
	return !now.Before(l.asks) || l.window && !now.Before(l.resets)
}

// giveBack takes back what take did, for a request that did not count against l.
func (l *lane) giveBack(now time.Time) {
	l.sent--
	l.left++
	l.bucket.ReserveN(now, -1)
}

// single reports whether l is a bucket in which there is room for one token, so that a
// late request is one less.
func (l *lane) single() bool { return l.exact > 0 && l.bucket.Burst() == 1 }

func (l *lane) take(now time.Time, w *way) {
	if l.over(now) {
		l.asked = now
	}
	l.sent++
	l.left--
	if l.exact > 0 && l.quota == 1 {
		now = now.Add(w.spread()) // it may arrive later than the next one, after its sending
	}
	l.bucket.ReserveN(now, 1)
}
