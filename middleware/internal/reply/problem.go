package reply

import (
	"strconv"
	"time"
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
	MethodBody = `{"type":"about:blank","title":"Method Not Allowed","status":405,` +
		`"detail":"The method must be GET or HEAD."}` + "\n"
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

// Unavailable sets the headers of a call that is denied because the limiter could not
// decide, with the body UnavailableBody.
func Unavailable(h map[string][]string, wait time.Duration) {
	Problem(h)
	h[RetryAfter] = []string{strconv.FormatInt(ceilSeconds(wait), 10)}
}

// Unavailable sets the header with the wait of such a call.
func (p *Reply) Unavailable(h map[string][]string, wait time.Duration) {
	h[p.names[atRetryAfter]] = []string{strconv.FormatInt(ceilSeconds(wait), 10)}
}
