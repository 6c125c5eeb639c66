package transport

import (
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/internal/signals"
)

// Limits is what a response reports of the limits of an API. The zero value reports
// nothing.
type Limits struct {
	// RetryAfter is how long the response asks to wait, 0 if it does not. It is at most
	// a year, and a response of any status may have it.
	RetryAfter time.Duration
	// All has the limits in the order in which they were sent, at most 16, and at most
	// one of each name and unit. If a server lists several, the first is usually the
	// one that decides.
	All []Limit
}

// A Limit is one limit of an API, as a response reports it.
type Limit struct {
	// Name is what the server calls the limit: the name of its policy, GitHub's
	// resource, Discord's bucket, "requests" or "tokens", "second" or "daily"; often "".
	Name string
	// Unit is what is counted. "" means requests.
	Unit string
	// Quota is how many of the unit there are in a window, or in a full bucket. 0
	// means unknown.
	Quota int
	// Window is the time for which Quota holds; with Refill, the time in which that
	// many come back. 0 means unknown.
	Window time.Duration
	// Remaining is how many are left, or [Unknown].
	Remaining int
	// Reset is the time until the window ends or, with Refills, until the bucket is
	// full. 0 means unknown, or over.
	Reset time.Duration
	// Refills reports whether the server describes the limit as a bucket that refills
	// continuously and is full after Reset, as OpenAI and Anthropic do. Not every such
	// server has one.
	Refills bool
	// Refill is how many come back in each Window, for a bucket whose size is not its
	// rate: Confluence's holds 10 and gets 2 a minute. 0 means Quota. A limit with a
	// Refill has a Window, and Refills.
	Refill int
}

// Unknown is the Remaining of a limit for which it is not known.
const Unknown = -1

// Parse reads the limits from the headers of a response that has just arrived. For the
// wait, the first of these headers that is present and valid counts:
//
//   - Retry-After-Ms, x-ms-retry-after-ms: milliseconds (OpenAI, Azure)
//   - Retry-After (RFC 9110, section 10.2.3), and names in place of it
//
// For the limits, it is the first of:
//
//   - RateLimit with RateLimit-Policy: lists, as in
//     draft-ietf-httpapi-ratelimit-headers-11, or the dictionary of its version 07
//   - RateLimit-Limit, -Remaining and -Reset, of version 06 and before
//   - X-RateLimit-* and X-Rate-Limit-*
//
// Of these, one that reports a denial counts before one that does not. In addition, Parse
// reads the headers that only some APIs have, such as Anthropic-Ratelimit-*; the source
// lists them in a table of dialects.
//
// A time may have any form in use: a number in the header's unit, usually seconds; a
// duration such as "6m0s" or "1d2h3m4s"; an HTTP date; an ISO 8601 date; a Unix time in
// seconds or a finer unit. An instant is compared with the clock of this machine, unless
// the response's Date shows that the server's clock differs. A limit may be a count, a
// period such as "15m", or both, as in "150/15m".
//
// Of several values of one field the tighter one counts: the longest wait, the least
// remaining. Of two sets with one name, the one with less remaining counts, with its own
// quota. Parse ignores unknown parameters (RFC 9651), what comes after the first 8 KB of a
// field, and a response with an Age, which was stored.
//
// Parse ignores an invalid value: text that it cannot read, or a time of more than a year.
// It omits a limit of 0, which says nothing about a rate. It caps counts that are too
// large, and returns no negative one except [Unknown].
func Parse(h http.Header) Limits { return limitsOf(signals.Parse(h, time.Now())) }

// limitsOf returns a copy of l for callers.
func limitsOf(l signals.Limits) Limits {
	limits := Limits{RetryAfter: l.RetryAfter}
	for _, limit := range l.All {
		limits.All = append(limits.All, Limit(limit))
	}
	return limits
}
