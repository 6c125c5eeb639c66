package pace

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// This file fills the bucket of a lane, in the three ways in which limits are told:
// by what remains, by the end of a window, and by the limit alone.

const (
	// spareRate is the rate from which one token is left in a bucket for requests
	// that overtake each other. Below it, to wait for that token would take longer
	// than any request is late.
	spareRate = rate.Limit(0.5)
	// maxSpace is the longest time between requests that are only spread out, since
	// the server says that more of them may come at once.
	maxSpace = 2 * time.Second
)

// follow makes l a bucket that holds what remained when the request was sent. With
// the times of sending on this side for those of arriving on the other, the way
// there cancels out, if it always takes as long; that it does not is what one spare
// token is for. Without one, the response's arrival less the shortest way there and back
// is late enough, for the next request takes as long at least.
//
// Requests that are under way together may be served in any order. So there are two
// bounds, and the tokens only change if they are not between them.
func (l *lane) follow(remaining int, r reading) {
	spare, from := 1, r.sent
	if l.quota < 2 || l.limit < spareRate {
		spare, from = 0, r.now.Add(-r.quick)
	}
	if l.hold && remaining == 0 {
		if l.until = earlier(l.resets, l.asks); l.exact > 0 {
			l.until = earlier(l.until, r.now.Add(l.exact))
		}
	}
	size := max(1, l.quota-spare)
	remaining = min(remaining, l.quota) - spare
	if remaining > 0 {
		remaining = int(float64(remaining) * l.share.of())
	}
	limit := l.limit * rate.Limit(l.share.of())
	// No more can be charged than was there and came in, for what is refused costs
	// nothing.
	charge := min(float64(l.quota)+float64(limit)*r.now.Sub(r.sent).Seconds(), signals.MaxCount)
	least := bucketOf(limit, size, remaining-min(r.after+r.unseen, int(charge)), from)
	if l.exact > 0 && spare > 0 {
		remaining++ // it is rounded down, and with a rate that is exact the tokens here say more
	}
	most := bucketOf(limit, size, remaining-min(r.after-r.beside, int(charge)), from)
	if l.bucket == nil || l.bucket.Burst() != size {
		l.bucket = least
		return
	}
	switch tokens := l.bucket.TokensAt(r.now); {
	case most.TokensAt(r.now) < tokens:
		l.bucket = most
	case least.TokensAt(r.now) > tokens:
		l.bucket = least
	case l.bucket.Limit() != limit: // else it would forget that take looked ahead
		l.bucket.SetLimitAt(r.now, limit)
	}
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// bucketOf returns a bucket with so many tokens at a time, which may be fewer than
// none.
func bucketOf(limit rate.Limit, size, tokens int, at time.Time) *rate.Limiter {
	bucket := rate.NewLimiter(limit, size)
	for used := size - tokens; used > 0; used -= size {
		bucket.ReserveN(at, min(used, size))
	}
	return bucket
}

// spread makes l a window, in which what remains lasts until its end: n more
// requests, and the one after them comes in the next window.
func (l *lane) spread(r reading) {
	limit := max(rate.Limit((float64(l.left)+1)/l.resets.Sub(r.now).Seconds()), rate.Every(maxSpace))
	l.limit = limit
	size := max(1, l.quota/10)
	if l.bucket == nil || l.bucket.Burst() != size {
		l.bucket = rate.NewLimiter(limit, size)
		l.bucket.ReserveN(r.sent, 1)
		return
	}
	l.bucket.SetLimitAt(r.now, limit)
}

// count makes l a bucket of which nobody tells what remains.
func (l *lane) count(limit rate.Limit, r reading) {
	if l.bucket == nil || l.bucket.Burst() != l.quota {
		l.bucket = rate.NewLimiter(limit, l.quota)
		l.bucket.ReserveN(r.sent, min(1+r.after, l.quota))
		return
	}
	l.bucket.SetLimitAt(r.now, limit)
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
