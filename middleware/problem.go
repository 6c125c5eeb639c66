package middleware

import (
	"net/http"
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// The bodies are problems of RFC 9457. The types of two of them are those of
// draft-ietf-httpapi-ratelimit-headers-11, in the registry that RFC 9457 set up.
const (
	twoKeysBody = `{"type":"about:blank","title":"Bad Request","status":400,` +
		`"detail":"The request has more than one API key; send one."}` + "\n"
	twoAddressesBody = `{"type":"about:blank","title":"Bad Request","status":400,` +
		`"detail":"The request has more than one client address; a proxy in front must send one."}` + "\n"
	unauthorizedBody = `{"type":"about:blank","title":"Unauthorized","status":401,` +
		`"detail":"The request has no API key; send one."}` + "\n"
	unavailableBody = `{"type":"https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",` +
		`"title":"Temporary Reduced Capacity","status":503,` +
		`"detail":"Rate limits cannot be checked at present; retry later."}` + "\n"
)

var (
	problemType = []string{"application/problem+json"}
	noSniff     = []string{"nosniff"}
	noStore     = []string{"no-store"}
)

// setProblem sets the headers that go with a problem.
func setProblem(dst http.Header) {
	dst["Content-Type"] = problemType
	dst["X-Content-Type-Options"] = noSniff
	dst["Cache-Control"] = noStore
}

// badRequest answers a request with several keys or addresses.
func badRequest(w http.ResponseWriter, r *http.Request, body string) {
	setProblem(w.Header())
	respond(w, r, http.StatusBadRequest, []byte(body))
}

// unauthorized answers a request without a key, where one is required.
func (g *gate) unauthorized(w http.ResponseWriter, r *http.Request) {
	setProblem(w.Header())
	w.Header()["Www-Authenticate"] = []string{g.config.Challenge} // a must: RFC 9110, 15.5.2
	respond(w, r, http.StatusUnauthorized, []byte(unauthorizedBody))
}

// unavailable answers a request about which nothing could be decided.
func (g *gate) unavailable(w http.ResponseWriter, r *http.Request) {
	setProblem(w.Header())
	w.Header()[HeaderRetryAfter] = []string{strconv.FormatInt(ceilSeconds(g.jittered(time.Second)), 10)}
	respond(w, r, http.StatusServiceUnavailable, []byte(unavailableBody))
}

// respond writes a problem whose headers are set. A HEAD request gets the headers
// of a GET, Content-Length included, which net/http sets where there is a body.
func respond(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	linger(w, r)
	h := w.Header()
	if r.Method == http.MethodHead {
		h["Content-Length"] = []string{strconv.Itoa(len(body))}
		w.WriteHeader(status)
		return
	}
	delete(h, "Content-Length") // an outer middleware's, of another body
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that hung up needs no answer
}

// appendDenial appends the body of a 429: constants, numbers and names of limits,
// none of which needs an escape in JSON. ms is what Retry-After-Ms tells, or ""
// if waiting does not help.
func appendDenial(b []byte, words *wording, r *ratelimit.Result, ms string) []byte {
	if ms == "" {
		b = append(b, neverDetail...)
	} else {
		b = append(b, words.detail...)
		b = append(appendWait(b, ms), '.')
	}
	b = append(b, `","violated-policies":[`...)
	b = appendString(b, r.Limit.Name) // the one that decides is violated
	for i := 1; i < r.Len(); i++ {
		if s := r.State(i); s.Violated {
			b = appendString(append(b, ','), s.Limit.Name)
		}
	}
	b = append(b, `],"limits":[`...)
	b = appendRemaining(b, words.objects[0], r.Remaining)
	for i := 1; i < r.Len(); i++ {
		b = appendRemaining(append(b, ','), words.objects[i], r.State(i).Remaining)
	}
	if ms == "" {
		b = append(b, `],"cost":`...)
		b = strconv.AppendInt(b, int64(r.Cost), 10)
		b = append(b, `,"max_cost":`...)
		b = strconv.AppendInt(b, int64(maxCost(r)), 10)
	} else {
		b = append(b, `],"retry_after_ms":`...)
		b = append(b, ms...)
	}
	return append(b, "}\n"...)
}

// appendWait appends a wait of so many milliseconds for a person to read: below a second
// as it is, else in seconds rounded up, as Retry-After has it, and written as "1d2h3m4s".
func appendWait(b []byte, ms string) []byte {
	n, err := strconv.ParseInt(ms, 10, 64)
	if n < 1000 || err != nil {
		return append(append(b, ms...), " ms"...)
	}
	seconds := (n-1)/1000 + 1
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

// The beginning of the body of a 429, and all of the detail if waiting does not
// help.
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

// maxCost returns the cost above which the key's limits never admit a call.
func maxCost(r *ratelimit.Result) int {
	n := r.Limit.Burst
	for i := 1; i < r.Len(); i++ {
		n = min(n, r.State(i).Limit.Burst)
	}
	return n
}
