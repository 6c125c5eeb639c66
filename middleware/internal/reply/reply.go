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
	names    *[len(Names)]string // of the headers in a map
	reset    ResetForm
	wordings wordings
}

// New returns a Reply. With period, X-Rate-Limit-Limit is the period of the limit, otherwise
// its burst.
func New(period bool, reset ResetForm) *Reply {
	return &Reply{&Names, reset, wordings{period: period}}
}

// NewLower returns a Reply whose maps of headers have names in lower case. It does not look at
// the headers of an outer limiter.
func NewLower() *Reply { return &Reply{names: &lower} }

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
	f.set(h, p.names, string(p.headers(h, &f, space[:0], &s, nil)))
}

// EachAllowed calls set for each header of an allowed call, with its place in Names. It is for a
// server that has no map of headers, and does not look at those of an outer limiter. The
// values are written to space, whose content is lost, and valid until set returns.
func (p *Reply) EachAllowed(r *ratelimit.Result, space []byte, set func(name int, value []byte)) {
	s := state{result: r}
	p.describe(&s)
	var f fields
	p.each(&f, space[:0], &s, nil, set)
}

// headers sets the headers that are the same in every response of a policy, and adds the
// others to f, with their values appended to b. retry is the wait of the response in
// seconds, as text, or nil if it has none.
func (p *Reply) headers(h map[string][]string, f *fields, b []byte, s *state, retry []byte) []byte {
	h[p.names[atPolicy]] = s.words.policies
	h[p.names[atLimit]] = s.words.counts[s.shown]
	return p.fields(f, b, s, retry)
}

// each calls set for the headers that headers sets and adds to f, and for those in f.
func (p *Reply) each(f *fields, b []byte, s *state, retry []byte, set func(name int, value []byte)) {
	b = p.fields(f, b, s, retry)
	end := len(b)
	b = append(b, s.words.policies[0]...)
	set(atPolicy, b[end:])
	f.each(b, set)
	end = len(b)
	b = append(b, s.words.counts[s.shown][0]...)
	set(atLimit, b[end:])
}

// fields adds the headers to f that differ from response to response.
func (p *Reply) fields(f *fields, b []byte, s *state, retry []byte) []byte {
	begin := len(b)
	b = strconv.AppendInt(b, int64(s.limits[s.shown].remaining), 10)
	f.end(atRemaining, b)
	b = appendRateLimitField(b, s, b[begin:], retry)
	f.end(atRateLimit, b)
	if p.reset != ResetOff && !s.words.rates[s.shown].Loan() {
		b = appendReset(b, p.reset, s.resetAfter())
		f.end(atReset, b)
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
