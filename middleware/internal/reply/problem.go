package reply

import (
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// The bodies are problems of RFC 9457. The types of two of them are those of
// draft-ietf-httpapi-ratelimit-headers-11, in the registry that RFC 9457 set up.
const (
	TwoKeysBody = `{"type":"about:blank","title":"Bad Request","status":400,` +
		`"detail":"The request has more than one API key; send one."}` + "\n"
	TwoAddressesBody = `{"type":"about:blank","title":"Bad Request","status":400,` +
		`"detail":"The request has more than one client address; a proxy in front must send one."}` + "\n"
	NoKeyBody = `{"type":"about:blank","title":"Unauthorized","status":401,` +
		`"detail":"The request has no API key; send one."}` + "\n"
	UnavailableBody = `{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",` +
		`"title":"Temporary Reduced Capacity","status":503,` +
		`"detail":"Rate limits cannot be checked at present; retry later."}` + "\n"
)

var (
	problemType = []string{"application/problem+json"}
	noSniff     = []string{"nosniff"}
	noStore     = []string{"no-store"}
)

// Problem sets the headers that go with the body of a problem.
func Problem(h map[string][]string) {
	h["Content-Type"] = problemType
	h["X-Content-Type-Options"] = noSniff
	h["Cache-Control"] = noStore
}

// AppendBody appends the body of a denied call: constants, numbers and names of limits,
// which need no escapes in JSON. wait is as in Denied.
func (p *Reply) AppendBody(b []byte, r *ratelimit.Result, wait time.Duration) []byte {
	words, ms := p.wordings.of(r), ceil(wait, time.Millisecond)
	if wait == gcra.Never {
		b = append(b, neverDetail...)
	} else {
		b = append(b, words.detail...)
		b = append(appendWait(b, ms), '.')
	}
	b = append(b, `","violated-policies":[`...)
	b = appendString(b, r.Limit().Name) // the deciding limit is violated
	for i := 1; i < r.Len(); i++ {
		if s := r.State(i); s.Violated {
			b = appendString(append(b, ','), s.Limit.Name)
		}
	}
	b = append(b, `],"limits":[`...)
	b = appendRemaining(b, words.objects[0], r.Remaining())
	for i := 1; i < r.Len(); i++ {
		b = appendRemaining(append(b, ','), words.objects[i], r.State(i).Remaining)
	}
	if wait == gcra.Never {
		b = append(b, `],"cost":`...)
		b = strconv.AppendInt(b, int64(r.Cost()), 10)
		b = append(b, `,"max_cost":`...)
		b = strconv.AppendInt(b, int64(maxCost(r)), 10)
	} else {
		b = append(b, `],"retry_after_ms":`...)
		b = strconv.AppendInt(b, ms, 10)
	}
	return append(b, "}\n"...)
}

// appendWait appends a wait in milliseconds for people: "200 ms" below a second, or else
// rounded up to a second, like Retry-After, and written as "1d2h3m4s".
func appendWait(b []byte, ms int64) []byte {
	if ms < 1000 {
		return append(strconv.AppendInt(b, ms, 10), " ms"...)
	}
	seconds := (ms-1)/1000 + 1
	for _, unit := range []struct {
		size int64
		name byte
	}{{86_400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}} {
		if seconds >= unit.size {
			b = append(strconv.AppendInt(b, seconds/unit.size, 10), unit.name)
			seconds %= unit.size
		}
	}
	return b
}

// The beginning of the body of a 429, and the whole detail if waiting does not help.
const (
	deniedHead = `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded",` +
		`"title":"Quota Exceeded","status":429,"detail":"`
	neverDetail = deniedHead + "The call costs more than the rate limit admits at once; waiting does not help."
)

// appendDetail appends the beginning of the body of a 429, up to the wait.
func appendDetail(b []byte, l ratelimit.Limit) []byte {
	b = append(b, deniedHead+"Rate limit of "...)
	b = strconv.AppendInt(b, int64(l.Rate), 10)
	b = append(b, " request"...)
	if l.Rate != 1 {
		b = append(b, 's')
	}
	b = append(b, " per "...)
	b = appendPeriod(b, l.Period)
	return append(b, " exceeded; retry after "...)
}

// appendObject appends the beginning of a limit's object, up to what remains.
func appendObject(b []byte, l ratelimit.Limit) []byte {
	b = append(b, `{"policy":`...)
	b = appendString(b, l.Name)
	b = append(b, `,"limit":`...)
	b = strconv.AppendInt(b, int64(l.Rate), 10)
	b = append(b, `,"period":"`...)
	b = appendPeriod(b, l.Period)
	b = append(b, '"')
	if l.Burst != l.Rate {
		b = append(b, `,"burst":`...)
		b = strconv.AppendInt(b, int64(l.Burst), 10)
	}
	return append(b, `,"remaining":`...)
}

// appendRemaining appends a limit's object.
func appendRemaining(b []byte, object string, remaining int) []byte {
	b = append(b, object...)
	b = strconv.AppendInt(b, int64(remaining), 10)
	return append(b, '}')
}

// maxCost returns the highest cost that the key's limits can admit.
func maxCost(r *ratelimit.Result) int {
	n := r.Limit().Burst
	for i := 1; i < r.Len(); i++ {
		n = min(n, r.State(i).Limit.Burst)
	}
	return n
}
