package pace

import (
	"time"

	"golang.org/x/time/rate"
)

// A learner finds the rate of an API that tells nothing but its refusals. Between two
// refusals the server's bucket is empty at both ends, so what was admitted in
// between is what it refills. Requests go at a little less than that, and then
// faster and faster, until the next refusal. Before the first there is no limit.
//
// A refusal with hardly anything before it says nothing of the rate: others may have
// used up what there was. Then there is no limit after the wait either, and the count
// begins with that.
type learner struct {
	bucket  *rate.Limiter // nil before the first refusal
	since   time.Time     // the last refusal; before the first, some time ago
	count   int           // admitted since
	earlier time.Time     // the since before, while it is still of use
	before  int           // admitted between the two
	elapsed time.Duration // what the rate was measured over
	bounded bool          // the count began at the end of a refusal's wait
}

const (
	// learnTime is how far back the count goes at least, and at most twice as far.
	learnTime = 10 * time.Second
	// backOff is what is left of a rate after a refusal.
	backOff = 0.97
	// growth is by how much a rate grows in a second, for each second since the
	// refusal, and maxGrowth the most.
	growth, maxGrowth = 0.006, 0.2
)

func (l *learner) delay(now time.Time, ahead int) time.Duration {
	if l.bucket == nil {
		return 0
	}
	return spacing(l.bucket.Limit(), float64(1+ahead)-l.bucket.TokensAt(now))
}

func (l *learner) take(now time.Time) {
	if l.since.IsZero() {
		l.since = now
	}
	if l.bucket != nil {
		l.bucket.ReserveN(now, 1)
	}
}

func (l *learner) admitted(c Attempt, now time.Time) {
	if l.bucket == nil && l.bounded && c.sent.Before(l.since) {
		return
	}
	if l.bucket != nil && c.sent.Before(l.since) {
		// It belongs to the time before the last refusal, which was read earlier.
		l.bucket.SetLimitAt(now, l.bucket.Limit()+rate.Limit(1/l.elapsed.Seconds()))
		return
	}
	if l.bucket == nil && now.Sub(l.since) > learnTime {
		l.earlier, l.before = l.since, l.count
		l.since, l.count = now, 0
	}
	l.count++
	if l.bucket == nil {
		return
	}
	limit := l.bucket.Limit()
	step := min(growth*now.Sub(l.since).Seconds(), maxGrowth)
	// Requests that come in at the limit share the growth of a second.
	l.bucket.SetLimitAt(now, limit*rate.Limit(1+step/max(float64(limit), 1)))
}

// refused learns from a refusal that asks for a wait. Requests that were under way
// at that time may be refused as well, which says nothing new.
func (l *learner) refused(c Attempt, now time.Time, wait time.Duration) {
	if (l.bucket != nil || l.bounded) && c.sent.Before(l.since) {
		return
	}
	if l.since.IsZero() {
		l.since = c.sent // of a request from before the limits were gone
	}
	// After the wait one request is admitted, at least.
	least := rate.Every(max(wait, time.Millisecond))
	var limit rate.Limit
	if l.bucket == nil {
		if l.earlier.IsZero() {
			l.earlier = l.since
		}
		if l.knowsNothing(now, wait) {
			*l = learner{since: now.Add(wait), bounded: true}
			return
		}
		// A bucket was full in the beginning: what it held must come back first.
		l.elapsed = max(now.Sub(l.earlier)+wait, time.Millisecond)
		limit = rate.Limit(float64(l.before+l.count) / l.elapsed.Seconds())
	} else {
		l.elapsed = max(now.Sub(l.since), time.Millisecond)
		measured := rate.Limit(float64(l.count) / l.elapsed.Seconds())
		limit = backOff * min(max(measured, l.bucket.Limit()/2), l.bucket.Limit())
	}
	l.bucket = rate.NewLimiter(max(limit, least), 1) // with a token for the request that goes after the wait
	l.since, l.count = now, 0
}

// knowsNothing reports whether what was admitted before the first refusal says nothing
// of the rate: nothing was, or only in a small part of the time that the server asks
// for, and that is too long to find out the rate by growth.
func (l *learner) knowsNothing(now time.Time, wait time.Duration) bool {
	if l.before+l.count == 0 {
		return true
	}
	return !l.bounded && wait > learnTime && now.Sub(l.earlier) < wait
}
