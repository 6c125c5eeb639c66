package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// The headers of a response that tell of its limits, in the canonical form of
// [http.Header]. RateLimit-Policy and RateLimit are the fields of
// draft-ietf-httpapi-ratelimit-headers-11; the others are a convention.
const (
	HeaderPolicy       = "Ratelimit-Policy"       // all limits: quota and window
	HeaderRateLimit    = "Ratelimit"              // all limits: what remains, and for how long
	HeaderLimit        = "X-Rate-Limit-Limit"     // of the limit that decides: see LimitForm
	HeaderRemaining    = "X-Rate-Limit-Remaining" // of the limit that decides: whole tokens left
	HeaderReset        = "X-Rate-Limit-Reset"     // of the limit that decides: see ResetForm
	HeaderRetryAfter   = "Retry-After"            // on 429 and 503: seconds, rounded up, at least 1
	HeaderRetryAfterMs = "Retry-After-Ms"         // on 429: milliseconds, rounded up, at least 1
)

// Headers returns the names of all headers that a response of [RateLimit] may have,
// for Access-Control-Expose-Headers: without that, a script in a browser does not
// see them. The slice is the caller's.
func Headers() []string {
	return []string{HeaderPolicy, HeaderRateLimit, HeaderLimit, HeaderRemaining, HeaderReset, HeaderRetryAfter, HeaderRetryAfterMs}
}

// lines are the values of headers that are written anew for every response, one
// line each. They share one array and one string. Those that are the same in every
// response are written once and shared by all: nobody may write into a slice that
// is in a Header, and Add does not, for it is full.
type lines []string

// set replaces a header of dst. name is in canonical form.
func (l *lines) set(dst http.Header, name, value string) {
	i := len(*l)
	*l = append(*l, value)
	dst[name] = (*l)[i : i+1 : i+1] // full, so that Add does not overwrite the next
}

// setLimits sets the headers that tell of a result. retry is the wait that the
// response tells, in seconds, or nil. b holds text that is to share the string; it
// is returned, as a string, with more behind it.
func (g *gate) setLimits(dst http.Header, l *lines, words *wording, r *ratelimit.Result, b, retry []byte) string {
	remaining := len(b)
	b = strconv.AppendInt(b, int64(r.Remaining), 10)
	field := len(b)
	b = appendRateLimitField(b, r, b[remaining:], retry)
	reset := len(b)
	if g.config.ResetHeader != ResetOff {
		b = appendReset(b, g.config.ResetHeader, r.ResetAfter)
	}
	text := string(b)
	dst[HeaderPolicy] = words.policies
	l.set(dst, HeaderRateLimit, text[field:reset])
	dst[HeaderLimit] = words.limit
	l.set(dst, HeaderRemaining, text[remaining:field])
	if g.config.ResetHeader != ResetOff {
		l.set(dst, HeaderReset, text[reset:])
	}
	return text
}

// appendReset appends when the time after is over, rounded up to a second.
func appendReset(b []byte, form ResetForm, after time.Duration) []byte {
	if form == ResetAsDelta {
		return strconv.AppendInt(b, ceilSeconds(after), 10)
	}
	at := time.Now().Add(after + time.Second - 1) // the rest is cut off
	if form == ResetAsEpoch {
		return strconv.AppendInt(b, at.Unix(), 10)
	}
	return at.UTC().AppendFormat(b, time.RFC3339)
}

// appendPeriod appends a period as one number and one unit, the largest of which it
// is a multiple.
func appendPeriod(b []byte, d time.Duration) []byte {
	unit, name := time.Microsecond, "us"
	switch {
	case d%(24*time.Hour) == 0:
		unit, name = 24*time.Hour, "d"
	case d%time.Hour == 0:
		unit, name = time.Hour, "h"
	case d%time.Minute == 0:
		unit, name = time.Minute, "m"
	case d%time.Second == 0:
		unit, name = time.Second, "s"
	case d%time.Millisecond == 0:
		unit, name = time.Millisecond, "ms"
	}
	return append(strconv.AppendInt(b, int64(d/unit), 10), name...)
}

// tighter tells whether h has the headers of an outer RateLimit by which as little
// remains, or less: those stay, so that the caller sees one set, of the tighter
// limit.
func tighter(h http.Header, remaining int) bool {
	value := h[HeaderRemaining]
	if len(value) != 1 || len(h[HeaderRateLimit]) != 1 {
		return false
	}
	n, err := strconv.Atoi(value[0])
	return err == nil && n <= remaining
}
