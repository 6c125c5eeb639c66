package transport

import (
	"net/http"
	"time"

	"github.com/keyrate/keyrate/middleware/transport/internal/signals"
)

// Limits is what a response reports of the limits of an API. The zero value is a
// response that reports nothing.
type Limits struct {
	// RetryAfter is how long the response asks to wait, 0 if it does not. It is at most
	// a year, and it may stand in a response of any status.
	RetryAfter time.Duration
	// All has the limits in the order in which they were sent, at most 16, and no two
	// of one name and unit. Where a server lists several, the first is usually the one
	// that decides.
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
	// means that it is not known.
	Quota int
	// Window is the time for which Quota holds; with Refill, the time in which that
	// many come back. 0 means that it is not known.
	Window time.Duration
	// Remaining is how many are left, or [Unknown].
	Remaining int
	// Reset is the time until the window ends or, with Refills, until the bucket is
	// full. 0 means that it is not known, or over.
	Reset time.Duration
	// Refills reports that the limit is said to be a bucket which fills up all the time
	// and is full after Reset, as with OpenAI and Anthropic. Not every server that says
	// so behaves so.
	Refills bool
	// Refill is how many come back in each Window, for a bucket whose size is not its
	// rate: Confluence's holds 10 and gets 2 a minute. 0 means Quota. A limit with a
	// Refill has a Window, and Refills.
	Refill int
}

// Unknown is the Remaining of a limit for which it is not known.
const Unknown = signals.Unknown

// Parse reads the limits from the headers of a response that has just arrived. The
// first of these that is there, and makes sense, counts, for the wait:
//
//   - Retry-After-Ms, x-ms-retry-after-ms: milliseconds (OpenAI, Azure)
//   - Retry-After (RFC 9110, section 10.2.3), and names in place of it
//
// and for the limits:
//
//   - RateLimit with RateLimit-Policy: lists, as in
//     draft-ietf-httpapi-ratelimit-headers-11, or the dictionary of its version 07
//   - RateLimit-Limit, -Remaining and -Reset, of version 06 and before
//   - X-RateLimit-* and X-Rate-Limit-*
//
// One of those that reports a denial counts before one that does not. Beside them count
// the headers that only some APIs have, such as Anthropic-Ratelimit-*: the source has
// them in a table of dialects.
//
// A time is read in any form that is in use, wherever it stands: a number of the
// header's unit, mostly seconds; a duration such as "6m0s" or "1d2h3m4s"; an HTTP
// date; a date of ISO 8601; a Unix time in seconds, or in a finer unit. An instant is
// compared with the clock of this machine, unless the response's Date shows that the
// server goes by another. A limit may be a count, a period such as "15m", or both as in
// "150/15m".
//
// Of several values of one field the tighter counts: the longest wait, the least that
// remains. Of two sets of one name it is the one with less remaining, with its own
// quota. Parameters that are not known are ignored (RFC 9651), as are what comes after
// the first 8 KB of a field, and a response with an Age, which was stored.
//
// A value that makes no sense is as if it were not there: text that cannot be read, or
// a time of more than a year. A limit of 0 says nothing about a rate, and is left out.
// Counts that are too large are cut off, and no negative one is returned but [Unknown].
func Parse(h http.Header) Limits { return limitsOf(signals.Parse(h, time.Now())) }

// limitsOf returns a copy of what was read of a response.
func limitsOf(read signals.Limits) Limits {
	l := Limits{RetryAfter: read.RetryAfter}
	for _, limit := range read.All {
		l.All = append(l.All, Limit(limit))
	}
	return l
}
