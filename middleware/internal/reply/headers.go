package reply

import (
	"strconv"
	"strings"
	"time"
)

// The headers of a response, in canonical form. Package middleware describes them.
const (
	Policy       = "Ratelimit-Policy"
	RateLimit    = "Ratelimit"
	Limit        = "X-Rate-Limit-Limit"
	Remaining    = "X-Rate-Limit-Remaining"
	Reset        = "X-Rate-Limit-Reset"
	RetryAfter   = "Retry-After"
	RetryAfterMs = "Retry-After-Ms"
)

// Names are the names of all headers, those of LimitNames first.
var Names = [...]string{Policy, RateLimit, Limit, Remaining, Reset, RetryAfter, RetryAfterMs}

// lower are the same names in lower case.
var lower = func() (names [len(Names)]string) {
	for i, name := range Names {
		names[i] = strings.ToLower(name)
	}
	return names
}()

// LimitNames are the names of the headers that describe limits.
var LimitNames = Names[:5]

// The places of Names.
const (
	atPolicy = iota
	atRateLimit
	atLimit
	atRemaining
	atReset
	atRetryAfter
	atRetryAfterMs
)

// fields are the headers whose values differ from response to response. Their values share
// one string and one array. Each value is a slice without spare capacity, so
// http.Header.Add copies it.
type fields struct {
	names [len(Names)]int // their places
	ends  [len(Names)]int // of the values in the text
	n     int
}

// end adds a header of Names, whose value is the text since the end of the last one.
func (f *fields) end(name int, text []byte) {
	f.names[f.n], f.ends[f.n] = name, len(text)
	f.n++
}

// set sets the headers in h, under their names there.
func (f *fields) set(h map[string][]string, names *[len(Names)]string, text string) {
	values, begin := make([]string, f.n), 0
	for i, end := range f.ends[:f.n] {
		values[i] = text[begin:end]
		h[names[f.names[i]]] = values[i : i+1 : i+1]
		begin = end
	}
}

// each calls set for each header, with its place in Names and its value.
func (f *fields) each(text []byte, set func(name int, value []byte)) {
	begin := 0
	for i, end := range f.ends[:f.n] {
		set(f.names[i], text[begin:end])
		begin = end
	}
}

// A ResetForm is a form of X-Rate-Limit-Reset.
type ResetForm int

// The forms of X-Rate-Limit-Reset.
const (
	ResetOff ResetForm = iota
	ResetAsDelta
	ResetAsEpoch
	ResetAsTime
)

// appendReset appends the instant in after, rounded up to a second.
func appendReset(b []byte, form ResetForm, after time.Duration) []byte {
	if form == ResetAsDelta {
		return strconv.AppendInt(b, ceilSeconds(after), 10)
	}
	at := time.Now().Add(after + time.Second - 1) // formatting cuts off the rest
	if form == ResetAsEpoch {
		return strconv.AppendInt(b, at.Unix(), 10)
	}
	return at.UTC().AppendFormat(b, time.RFC3339)
}
