package pace

import (
	"time"

	"golang.org/x/time/rate"
)

// An adaptive limiter finds the rate of an API that reports no limits, only denials.
// Between two denials the server's bucket is empty at both ends, so what was admitted in
// between is what it refills. Requests go at slightly less than that, and then faster and
// faster until the next denial. Before the first denial there is no limit.
//
// A denial after few requests says nothing about the rate: others may have used up what
// there was. There is still no limit after its wait, and the count begins with that.
type adaptive struct {
	bucket  *rate.Limiter // nil before the first denial
	since   time.Time     // the last denial; before the first, the start of the count
	count   int           // admitted since
	earlier time.Time     // the start of the count before, while it is of use
	before  int           // admitted from then until since
	elapsed time.Duration // what the rate was measured over
	bounded bool          // the count began at the end of a denial's wait
}

const (
	// countTime is how far back the count goes at least; at most it is twice as far.
	countTime = 10 * time.Second
	// afterDenial is what is left of a rate after a denial.
	afterDenial = 0.97
	// growth is by how much a rate grows in a second, for each second since the denial;
	// maxGrowth is the most.
	growth, maxGrowth = 0.006, 0.2
)

func (l *adaptive) delay(now time.Time, ahead int) time.Duration {
	if l.bucket == nil {
		return 0
	}
	return spacing(l.bucket.Limit(), float64(1+ahead)-l.bucket.TokensAt(now))
}

func (l *adaptive) take(now time.Time) {
	if l.since.IsZero() {
		l.since = now
	}
	if l.bucket != nil {
		l.bucket.ReserveN(now, 1)
	}
}

func (l *adaptive) admitted(a Attempt, now time.Time) {
	if l.bucket == nil {
		if l.bounded && a.sent.Before(l.since) {
			return
		}
		if now.Sub(l.since) > countTime {
			l.earlier, l.before = l.since, l.count
			l.since, l.count = now, 0
		}
		l.count++
		return
	}
	limit := l.bucket.Limit()
	if a.sent.Before(l.since) {
		// It counts for the time before the last denial, which was read earlier.
		l.bucket.SetLimitAt(now, limit+rate.Limit(1/l.elapsed.Seconds()))
		return
	}
	l.count++
	step := min(growth*now.Sub(l.since).Seconds(), maxGrowth)
	// Requests that come in at the limit share the growth of a second.
	l.bucket.SetLimitAt(now, limit*rate.Limit(1+step/max(float64(limit), 1)))
}

// denied learns from a denial that asks for a wait. Requests under way at that time may be
// denied as well, which says nothing new.
func (l *adaptive) denied(a Attempt, now time.Time, wait time.Duration) {
	if (l.bucket != nil || l.bounded) && a.sent.Before(l.since) {
		return
	}
	if l.since.IsZero() {
		l.since = a.sent // sent while there were limits
	}
	var limit rate.Limit
	if l.bucket == nil {
		if l.earlier.IsZero() {
			l.earlier = l.since
		}
		if l.knowsNothing(now, wait) {
			*l = adaptive{since: now.Add(wait), bounded: true}
			return
		}
		// A bucket was full in the beginning: what it held must come back first.
		l.elapsed = max(now.Sub(l.earlier)+wait, time.Millisecond)
		limit = rate.Limit(float64(l.before+l.count) / l.elapsed.Seconds())
	} else {
		l.elapsed = max(now.Sub(l.since), time.Millisecond)
		measured := rate.Limit(float64(l.count) / l.elapsed.Seconds())
		limit = afterDenial * min(max(measured, l.bucket.Limit()/2), l.bucket.Limit())
	}
	least := rate.Every(max(wait, time.Millisecond)) // one is admitted after the wait
	l.bucket = rate.NewLimiter(max(limit, least), 1) // with a token for it
	l.since, l.count = now, 0
}

// knowsNothing reports whether what was admitted before the first denial says nothing
// about the rate: nothing was, or only in a small part of the time that the server asks
// for, which is too long to find the rate by growth.
func (l *adaptive) knowsNothing(now time.Time, wait time.Duration) bool {
	return l.before+l.count == 0 || !l.bounded && wait > countTime && now.Sub(l.earlier) < wait
}
