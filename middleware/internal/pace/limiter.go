package pace

import (
	"time"

	"golang.org/x/time/rate"
)

// A limiter keeps requests within one limit of an API, which is one of two kinds:
//
//   - A bucket, which refills all the time. Each response sets its tokens to what remains
//     on the server, so a rate that is slightly wrong does no harm.
//   - A window. Only its end is reported, and requests are spread over it.
//
// A limit is a window if only an end is reported, until more remains before that end than
// a window would leave.
type limiter struct {
	name    string
	id      uint64  // counts the limiters of a pace
	routes  int     // how many have it
	sent    uint64  // how many requests that count against it were sent
	newest  uint64  // the latest attempt whose response was read
	backoff backoff // after denials that name it

	bucket  *rate.Limiter
	limit   rate.Limit // the rate of all nodes together, reported or found
	guess   bool       // it was found
	quota   int
	exact   time.Duration // the window, if it is reported more finely than in seconds
	refills bool          // a bucket with a reported window, as responses showed
	strict  bool          // denied when there should have been tokens: when none remains, wait for the reset
	hold    bool          // it does so now
	resets  time.Time     // zero if unknown
	until   time.Time     // nothing remains before
	window  bool          // left holds up to resets
	left    int           // of a window
	staleAt time.Time     // reports hold up to here; then one request goes alone and probes
	probed  time.Time     // when it went

	start    windowStart
	kind     classifier
	estimate estimator
	share    aimd
	rounding rounding
}

// delay returns how long a request must wait that has so many in front of it, and how long
// it should, so that a window lasts until its end.
func (l *limiter) delay(now time.Time, ahead int) (must, should time.Duration) {
	if l.stale(now) {
		return 0, 0
	}
	should = spacing(l.bucket.Limit(), float64(1+ahead)-l.bucket.TokensAt(now))
	if !l.window {
		must = should
		if l.guess && ahead < l.quota && now.Before(l.resets) {
			must = min(must, l.resets.Sub(now)) // it is full then, even if it seems slower
		}
	}
	if (l.window || l.hold) && l.left <= ahead {
		must = max(must, l.resets.Sub(now))
	}
	if ahead == 0 { // it may probe
		must, should = min(must, l.staleAt.Sub(now)), min(should, l.staleAt.Sub(now))
	}
	must = max(must, l.until.Sub(now))
	return must, max(must, should)
}

// stale reports whether the last report no longer holds.
func (l *limiter) stale(now time.Time) bool {
	return !now.Before(l.staleAt) || l.window && !now.Before(l.resets)
}

// single reports whether l is a bucket with room for one token, so that a late request
// loses one.
func (l *limiter) single() bool { return l.exact > 0 && l.bucket.Burst() == 1 }

// take counts a request that is sent.
func (l *limiter) take(now time.Time, r *rtt) {
	if l.stale(now) {
		l.probed = now
	}
	l.sent++
	l.left--
	if l.exact > 0 && l.quota == 1 {
		now = now.Add(r.variation()) // it may arrive that much later than the next one
	}
	l.bucket.ReserveN(now, 1)
}

// giveBack undoes take, for a request that did not count against l.
func (l *limiter) giveBack(now time.Time) {
	l.sent--
	l.left++
	l.bucket.ReserveN(now, -1)
}
