// Package reply writes responses: a Result goes in, headers and a body come out. It does not
// depend on net/http: headers are maps with canonical names.
package reply

import (
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// A Reply writes the responses of one limiter. It keeps the text that the responses of a
// policy have in common.
type Reply struct {
	reset    ResetForm
	wordings wordings
}

// New returns a Reply. With period, X-Rate-Limit-Limit is the period of the limit, otherwise
// its burst.
func New(period bool, reset ResetForm) *Reply {
	return &Reply{reset, wordings{period: period}}
}

// Allowed sets the headers of an allowed call, unless h has the headers of an outer limiter
// with as little remaining, or less. So a client gets one set of headers.
func (p *Reply) Allowed(h map[string][]string, r *ratelimit.Result) {
	if len(h) > 0 {
		if Tighter(h, r.Remaining()) {
			return
		}
		delete(h, Reset)
	}
	var space [128]byte
	var f fields
	f.set(h, string(p.limits(h, &f, space[:0], r, -1)))
}

// Denied sets the headers of a denied call and of its body: see AppendBody. wait is the
// time until the client may come back, or gcra.Never.
func (p *Reply) Denied(h map[string][]string, r *ratelimit.Result, wait time.Duration) {
	if len(h) > 0 {
		delete(h, Reset) // an outer limiter's
	}
	Problem(h)
	var space [128]byte
	var f fields
	if wait == gcra.Never {
		f.set(h, string(p.limits(h, &f, space[:0], r, -1)))
		return
	}
	seconds := ceilSeconds(wait)
	b := p.limits(h, &f, space[:0], r, seconds)
	b = strconv.AppendInt(b, seconds, 10)
	f.end(RetryAfter, b)
	b = strconv.AppendInt(b, ceil(wait, time.Millisecond), 10)
	f.end(RetryAfterMs, b)
	f.set(h, string(b))
}

// limits sets the headers that are the same in every response of a policy, and adds the
// others to f, with their values appended to b. retry is the wait of the response in
// seconds, or negative if it has none.
func (p *Reply) limits(h map[string][]string, f *fields, b []byte, r *ratelimit.Result, retry int64) []byte {
	words := p.wordings.of(r)
	h[Policy] = words.policies
	h[Limit] = words.limit
	b = strconv.AppendInt(b, int64(r.Remaining()), 10)
	f.end(Remaining, b)
	b = appendRateLimitField(b, words, r, b, retry)
	f.end(RateLimit, b)
	if p.reset != ResetOff {
		b = appendReset(b, p.reset, r.ResetAfter())
		f.end(Reset, b)
	}
	return b
}

// Unavailable sets the headers of a call that is denied because the limiter could not
// decide, with the body UnavailableBody.
func Unavailable(h map[string][]string, wait time.Duration) {
	Problem(h)
	h[RetryAfter] = []string{strconv.FormatInt(ceilSeconds(wait), 10)}
}

// Tighter reports whether h has the headers of an outer limiter with as little remaining,
// or less.
func Tighter(h map[string][]string, remaining int) bool {
	value := h[Remaining]
	if len(value) != 1 || len(h[RateLimit]) != 1 {
		return false
	}
	n, err := strconv.Atoi(value[0])
	return err == nil && n <= remaining
}
