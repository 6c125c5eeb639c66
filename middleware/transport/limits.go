package transport

import (
	"net/http"
	"time"
)

// Limits is what a response tells its caller of the limits of an API. Its zero
// value is a response that tells nothing.
type Limits struct {
	// RetryAfter is how long the response says to wait, 0 if it does not. It is at
	// most a year, and it may stand in a response of any status.
	RetryAfter time.Duration
	// All has the limits in the order in which they were told, at most 16. Where a
	// server lists several, the first is usually the one that decides.
	All []Limit
}

// A Limit is one limit of an API, as a response tells of it.
type Limit struct {
	// Name is what the server calls the limit: the name of its policy, GitHub's
	// resource, "requests" or "tokens"; often "".
	Name string
	// Unit is what is counted. "" means requests.
	Unit string
	// Quota is how many of the unit there are in a window, or in a full bucket. 0
	// means that it was not told.
	Quota int
	// Window is the time for which Quota holds. 0 means that it was not told.
	Window time.Duration
	// Remaining is how many are left, or [Unknown].
	Remaining int
	// Reset is the time until the window ends or, with Refills, until the bucket is
	// full. 0 means that it was not told, or that it is over.
	Reset time.Duration
	// Refills says that the limit is a bucket which fills up all the time and is full
	// after Reset, as with OpenAI and Anthropic.
	Refills bool
}

// Unknown is the Remaining of a limit of which it was not told.
const Unknown = -1

// maxLimits is how many limits are read from one response: more than anybody has.
const maxLimits = 16

// Parse reads the limits from the headers of a response that has just arrived. The
// first of these that is there, and can be read, counts, for the wait:
//
//   - Retry-After-Ms, x-ms-retry-after-ms: milliseconds (OpenAI, Azure)
//   - Retry-After: seconds, or a date (RFC 9110, section 10.2.3)
//
// and for the limits:
//
//   - RateLimit with RateLimit-Policy: lists, as in
//     draft-ietf-httpapi-ratelimit-headers-11, or the dictionary of its version 07
//   - RateLimit-Limit, -Remaining and -Reset, of version 06 and before
//   - X-RateLimit-* and X-Rate-Limit-*, also with -Requests and -Tokens at the end
//     (OpenAI). The limit is a count, or a period such as "15m"; the reset is a
//     number of seconds, a Unix time in seconds (GitHub) or milliseconds, a date, or
//     a duration such as "6m0s"
//   - Anthropic-Ratelimit-*
//   - X-Shopify-Shop-Api-Call-Limit: "32/40", of a bucket that leaks 2 a second or,
//     if it is large, in 20 seconds (shopify.dev, REST Admin API rate limits)
//
// A Unix time is compared with the clock of this machine, unless the response's Date
// shows that the server goes by another. A response with an Age was stored, and
// tells nothing. What cannot be read is as if it were not there; numbers that are
// too large are cut off, and no negative one is returned but [Unknown].
func Parse(h http.Header) Limits { return parse(h, time.Now()) }

// parse is Parse at a given time.
func parse(h http.Header, now time.Time) Limits {
	if age, ok := parseSeconds(h.Get("Age")); ok && age > 0 {
		return Limits{}
	}
	c := clockOf(h, now)
	l := Limits{RetryAfter: retryAfter(h, c)}
	for _, read := range []func(http.Header, clock) []Limit{readRateLimit, readSplit, readX, readAnthropic, readShopify} {
		if l.All = read(h, c); len(l.All) > 0 {
			break
		}
	}
	return l
}

func retryAfter(h http.Header, c clock) time.Duration {
	for _, name := range []string{"Retry-After-Ms", "X-Ms-Retry-After-Ms"} {
		if d, ok := parseDecimal(h.Get(name), time.Millisecond); ok && d > 0 {
			return d
		}
	}
	text := h.Get("Retry-After")
	if d, ok := parseSeconds(text); ok {
		return d
	}
	if at, ok := parseDate(text); ok {
		return c.untilDate(at)
	}
	return 0
}

// requests returns the limits that count requests: those that a pace can heed.
func (l Limits) requests() []Limit {
	var found []Limit
	for _, limit := range l.All {
		if limit.Unit == "" {
			found = append(found, limit)
		}
	}
	return found
}

// wait returns how long l says to wait after a refusal, 0 if it does not.
func (l Limits) wait() time.Duration {
	if l.RetryAfter > 0 {
		return l.RetryAfter
	}
	var longest time.Duration
	for _, limit := range l.All {
		if limit.Remaining != 0 {
			continue
		}
		wait := limit.Reset
		if limit.Refills && limit.Quota > 0 {
			wait /= time.Duration(limit.Quota) // the first of them comes back much sooner
		}
		longest = max(longest, wait)
	}
	return longest
}
