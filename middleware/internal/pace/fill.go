package pace

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// This file fills the bucket of a limiter from each kind of report: what remains, the end
// of a window, or the limit alone.

const (
	// spareRate is the rate from which one token is left in a bucket for requests that
	// overtake each other. At a lower rate, waiting for that token takes longer than any
	// request is late.
	spareRate = rate.Limit(0.5)
	// maxSpace is the longest time between requests that are only spread out: the
	// server would admit more of them at once.
	maxSpace = 2 * time.Second
)

// fill sets the tokens to what remained when the request was sent. With the times of
// sending here for those of arriving there, a constant delay cancels out; the spare token
// covers the rest. Without one, the arrival of the response less the shortest round trip is
// late enough, because the next request takes at least as long.
//
// Requests under way together may be served in any order. So there are two bounds, and the
// tokens change only if they are outside them.
func (l *limiter) fill(remaining int, o observation) {
	spare, from := 1, o.sent
	if l.quota < 2 || l.limit < spareRate {
		spare, from = 0, o.now.Add(-o.quick)
	}
	if l.hold && remaining == 0 {
		if l.until = earlier(l.resets, l.staleAt); l.exact > 0 {
			l.until = earlier(l.until, o.now.Add(l.exact))
		}
	}
	size := max(1, l.quota-spare)
	remaining = min(remaining, l.quota) - spare
	if remaining > 0 {
		remaining = int(float64(remaining) * l.share.fraction())
	}
	limit := l.limit * rate.Limit(l.share.fraction())
	// At most what was there and came in can be charged: a denied request costs nothing.
	charge := int(min(float64(l.quota)+float64(limit)*o.now.Sub(o.sent).Seconds(), signals.MaxCount))
	least := bucketOf(limit, size, remaining-min(o.after+o.unseen, charge), from)
	if l.exact > 0 && spare > 0 {
		remaining++ // it is rounded down, and with an exact rate the tokens here are more precise
	}
	most := bucketOf(limit, size, remaining-min(o.after-o.beside, charge), from)
	if l.bucket == nil || l.bucket.Burst() != size {
		l.bucket = least
		return
	}
	switch tokens := l.bucket.TokensAt(o.now); {
	case most.TokensAt(o.now) < tokens:
		l.bucket = most
	case least.TokensAt(o.now) > tokens:
		l.bucket = least
	case l.bucket.Limit() != limit: // setting it would undo that take looked ahead
		l.bucket.SetLimitAt(o.now, limit)
	}
}

// spread spreads what is left of a window up to its end; one more request goes in the next
// window.
func (l *limiter) spread(o observation) {
	l.limit = max(rate.Limit((float64(l.left)+1)/l.resets.Sub(o.now).Seconds()), rate.Every(maxSpace))
	l.setBucket(l.limit, max(1, l.quota/10), 1, o)
}

// fillBlindly follows a limit without what remains of it.
func (l *limiter) fillBlindly(limit rate.Limit, o observation) {
	l.setBucket(limit, l.quota, 1+o.after, o)
}

// setBucket changes the rate of the bucket, or replaces a bucket of another size by one from
// which so many tokens are used.
func (l *limiter) setBucket(limit rate.Limit, size, used int, o observation) {
	if l.bucket == nil || l.bucket.Burst() != size {
		l.bucket = rate.NewLimiter(limit, size)
		l.bucket.ReserveN(o.sent, min(used, size))
		return
	}
	l.bucket.SetLimitAt(o.now, limit)
}

// bucketOf returns a bucket with so many tokens at a time, which may be negative.
func bucketOf(limit rate.Limit, size, tokens int, at time.Time) *rate.Limiter {
	bucket := rate.NewLimiter(limit, size)
	for used := size - tokens; used > 0; used -= size {
		bucket.ReserveN(at, min(used, size))
	}
	return bucket
}

// spacing returns how long it takes to get so many tokens.
func spacing(limit rate.Limit, tokens float64) time.Duration {
	if tokens <= 1e-6 {
		return 0 // the rounding of floats
	}
	seconds := tokens / float64(limit)
	if seconds >= signals.MaxTime.Seconds() {
		return signals.MaxTime
	}
	return time.Duration(seconds*1e9) + 1
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
