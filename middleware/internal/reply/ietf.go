package reply

import (
	"strconv"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// This file implements draft-ietf-httpapi-ratelimit-headers-11, of May 2026. Both fields
// are lists of RFC 9651, with an item per limit, the deciding one first:
//
//	RateLimit-Policy: "default";q=5;w=1    a quota of 5 in a window of 1 second
//	RateLimit: "default";r=4;t=1           4 remain; t seconds, see below
//
// A limit on concurrent calls has a quota unit, and no times:
//
//	RateLimit-Policy: "concurrent";q=10;qu="concurrent-requests"
//	RateLimit: "concurrent";r=3
//
// A token bucket has no window. w is the time in which an empty bucket fills up, so a
// client that keeps to q calls in every w is never denied. t is the time in which the
// remaining tokens come back; if none remains, the time until the next one; for a violated
// limit, the time to wait. Both are at least 1.
//
// If w in whole seconds is longer than the window by a twentieth or more, as with 5 per
// second and a burst of 1, an additional parameter has the window in microseconds, rounded
// up:
//
//	RateLimit-Policy: "default";q=1;w=1;keyrate-window-us=200000
//
// The draft allows parameters that begin with the name of their vendor. Other clients ignore
// it; package transport uses it to send as fast as the limit allows.

// ConcurrentUnit is the quota unit of a limit on concurrent calls, also in a body.
const ConcurrentUnit = "concurrent-requests"

// appendPolicyField appends the value of RateLimit-Policy. The first limit decides.
func appendPolicyField(b []byte, limits []store.Limit) []byte {
	for i := range limits {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendPolicy(b, &limits[i])
	}
	return b
}

func appendPolicy(b []byte, l *store.Limit) []byte {
	b = appendString(b, l.Name)
	b = append(b, ";q="...)
	b = appendInteger(b, int64(l.Burst()))
	if l.Loan() {
		return append(append(append(b, `;qu="`...), ConcurrentUnit...), '"')
	}
	b = append(b, ";w="...)
	exact := l.Capacity().Duration()
	window := max(1, ceilSeconds(exact))
	b = appendInteger(b, window)
	if whole := time.Duration(window) * time.Second; whole > exact && whole-exact >= exact/20 {
		b = append(b, ";keyrate-window-us="...)
		b = appendInteger(b, max(1, exact.Microseconds()))
	}
	return b
}

// appendRateLimitField appends the value of RateLimit. remaining is what remains of the limit
// in X-Rate-Limit-*, and retry the wait for the deciding limit in seconds, both as text; retry
// may be nil.
func appendRateLimitField(b []byte, s *state, remaining, retry []byte) []byte {
	for i, item := range s.words.items {
		l := &s.limits[i]
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, item...)
		if i == s.shown && int64(l.remaining) <= maxInteger {
			b = append(b, remaining...) // saves formatting it again
		} else {
			b = appendInteger(b, int64(l.remaining))
		}
		if s.words.rates[i].Loan() {
			continue
		}
		b = append(b, ";t="...)
		switch {
		case i == 0 && retry != nil:
			b = append(b, retry...)
		case l.violated && l.retry != gcra.Never:
			b = appendSeconds(b, l.retry)
		case l.remaining > 0:
			b = appendSeconds(b, gate.Refill(&s.words.rates[i], l.remaining))
		default:
			b = appendSeconds(b, s.result.State(i).NextAfter)
		}
	}
	return b
}

// appendSeconds appends d in seconds, rounded up, at least 1.
func appendSeconds(b []byte, d time.Duration) []byte {
	return strconv.AppendInt(b, max(1, ceilSeconds(d)), 10)
}

// appendItem appends the beginning of a limit's item in RateLimit, up to what remains.
func appendItem(b []byte, l ratelimit.Limit) []byte {
	return append(appendString(b, l.Name), ";r="...)
}

// appendString appends the name of a limit, which needs no escapes in a String of RFC 9651
// or of JSON.
func appendString(b []byte, name string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"')
}

// maxInteger has 14 digits. RFC 9651, section 3.3.1, allows 15, but
// github.com/dunglas/httpsfv v1.1.0 rejects such an integer unless it ends the
// field. Larger numbers are sent as this one.
const maxInteger = 99_999_999_999_999

// appendInteger appends n >= 0.
func appendInteger(b []byte, n int64) []byte {
	return strconv.AppendInt(b, min(n, maxInteger), 10)
}
