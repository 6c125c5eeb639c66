package reply

import (
	"strconv"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/gate"
	"github.com/keyrate/keyrate/ratelimit"
)

// This file is all that knows draft-ietf-httpapi-ratelimit-headers-11, of May
// 2026. Both fields are lists of RFC 9651, with an item per limit, the deciding one
// first:
//
//	RateLimit-Policy: "default";q=5;w=1    a quota of 5 in a window of 1 second
//	RateLimit: "default";r=4;t=1           4 remain; t seconds, see below
//
// A token bucket has no window. With w the time in which an empty bucket fills up,
// at least 1, a client that keeps to q calls in every w is never refused. t is the
// time in which as many tokens as remain come back, when none remains the time to
// the next one, and for a violated limit the time to wait; at least 1.
//
// Where whole seconds make w longer than that by a twentieth or more, as with 5 a second
// and a burst of 1, a parameter of our own has the window in microseconds, rounded up:
//
//	RateLimit-Policy: "default";q=1;w=1;keyrate-window-us=200000
//
// The draft allows parameters that begin with the name of their vendor. Clients that do
// not know it take it for a comment; package transport uses it to go as fast as the limit
// allows.

// appendPolicyField appends the value of RateLimit-Policy when limits[deciding]
// decides.
func appendPolicyField(b []byte, limits []ratelimit.Limit, deciding int) []byte {
	b = appendPolicy(b, limits[deciding])
	for i, l := range limits {
		if i != deciding {
			b = appendPolicy(append(b, ", "...), l)
		}
	}
	return b
}

func appendPolicy(b []byte, l ratelimit.Limit) []byte {
	b = appendString(b, l.Name)
	b = append(b, ";q="...)
	b = appendInteger(b, int64(l.Burst))
	b = append(b, ";w="...)
	exact := gate.Refill(l, l.Burst)
	window := max(1, ceilSeconds(exact))
	b = appendInteger(b, window)
	if whole := time.Duration(window) * time.Second; whole > exact && whole-exact >= exact/20 {
		b = append(b, ";keyrate-window-us="...)
		b = appendInteger(b, max(1, exact.Microseconds()))
	}
	return b
}

// appendRateLimitField appends the value of RateLimit. retry is the wait of the response
// in seconds, or negative if it has none.
func appendRateLimitField(b []byte, r *ratelimit.Result, retry int64) []byte {
	for i := range r.Len() {
		s := stateOf(r, i)
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendString(b, s.Limit.Name)
		b = append(b, ";r="...)
		b = appendInteger(b, int64(s.Remaining))
		b = append(b, ";t="...)
		if i == 0 && retry >= 0 {
			b = strconv.AppendInt(b, retry, 10)
		} else {
			b = appendInteger(b, max(1, seconds(r, i, &s)))
		}
	}
	return b
}

// seconds returns the t of the i-th limit, whose state is s.
func seconds(r *ratelimit.Result, i int, s *ratelimit.LimitState) int64 {
	switch {
	case s.Violated && s.RetryAfter != ratelimit.Never:
		return ceilSeconds(s.RetryAfter)
	case s.Remaining > 0:
		return ceilSeconds(gate.Refill(s.Limit, s.Remaining))
	default:
		return ceilSeconds(r.NextAfter(i))
	}
}

// stateOf is r.State(i), without the arithmetic for the limit that decides, of
// which r speaks itself.
func stateOf(r *ratelimit.Result, i int) ratelimit.LimitState {
	if i > 0 {
		return r.State(i)
	}
	return ratelimit.LimitState{
		Limit:      r.Limit,
		Violated:   !r.Allowed,
		Remaining:  r.Remaining,
		RetryAfter: r.RetryAfter,
		ResetAfter: r.ResetAfter,
	}
}

// appendString appends the name of a limit, which needs no escapes in a String of
// RFC 9651, nor in one of JSON.
func appendString(b []byte, name string) []byte {
	b = append(b, '"')
	b = append(b, name...)
	return append(b, '"')
}

// maxInteger has 14 digits. RFC 9651, section 3.3.1, allows 15, but
// github.com/dunglas/httpsfv v1.1.0 rejects such an integer unless it ends the
// field. More tokens than that are as good as that many.
const maxInteger = 99_999_999_999_999

// appendInteger appends n >= 0.
func appendInteger(b []byte, n int64) []byte {
	return strconv.AppendInt(b, min(n, maxInteger), 10)
}
