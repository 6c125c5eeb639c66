// Package reply writes responses: a Result goes in, headers and a body come out. It does not
// depend on net/http: headers are maps with canonical names.
package reply

import (
	"strconv"

	"github.com/keyrate/keyrate/ratelimit"
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
	s := state{result: r}
	p.describe(&s)
	if len(h) > 0 {
		if Tighter(h, s.limits[s.shown].remaining) {
			return
		}
		delete(h, Reset)
	}
	var space [128]byte
	var f fields
	f.set(h, string(p.headers(h, &f, space[:0], &s, nil)))
}

// headers sets the headers that are the same in every response of a policy, and adds the
// others to f, with their values appended to b. retry is the wait of the response in
// seconds, as text, or nil if it has none.
func (p *Reply) headers(h map[string][]string, f *fields, b []byte, s *state, retry []byte) []byte {
	h[Policy] = s.words.policies
	h[Limit] = s.words.counts[s.shown]
	begin := len(b)
	b = strconv.AppendInt(b, int64(s.limits[s.shown].remaining), 10)
	f.end(Remaining, b)
	b = appendRateLimitField(b, s, b[begin:], retry)
	f.end(RateLimit, b)
	if p.reset != ResetOff && !s.words.rates[s.shown].Loan() {
		b = appendReset(b, p.reset, s.resetAfter())
		f.end(Reset, b)
	}
	return b
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
