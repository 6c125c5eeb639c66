package reply

import (
	"strconv"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// Blocked sets the headers of the response to a key that is blocked, and those of its body.
// wait is the time until the block ends, or gcra.Never. There are no limits to report: those of
// an outer limiter stay.
func Blocked(h map[string][]string, wait time.Duration) {
	Problem(h)
	setWait(h, wait, RetryAfter, RetryAfterMs)
}

// Blocked sets the headers with the wait of such a response.
func (p *Reply) Blocked(h map[string][]string, wait time.Duration) {
	setWait(h, wait, p.names[atRetryAfter], p.names[atRetryAfterMs])
}

// setWait sets two headers to a wait, under these names.
func setWait(h map[string][]string, wait time.Duration, seconds, milliseconds string) {
	if wait != gcra.Never {
		h[seconds] = []string{strconv.FormatInt(ceilSeconds(wait), 10)}
		h[milliseconds] = []string{strconv.FormatInt(Milliseconds(wait), 10)}
	}
}

const tooManyRequests = 429

// AppendBlocked appends the body of that response, whose status is 403 or 429. It does not say why.
func AppendBlocked(b []byte, status int, wait time.Duration) []byte {
	title := "Forbidden"
	if status == tooManyRequests {
		title = "Too Many Requests"
	}
	b = append(b, `{"type":"about:blank","title":"`...)
	b = append(append(b, title...), `","status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"detail":"`...)
	b = AppendBlockedDetail(b, wait)
	if wait != gcra.Never {
		b = append(b, `","retry_after_ms":`...)
		b = strconv.AppendInt(b, Milliseconds(wait), 10)
		return append(b, "}\n"...)
	}
	return append(b, "\"}\n"...)
}

// AppendBlockedDetail appends a sentence for people.
func AppendBlockedDetail(b []byte, wait time.Duration) []byte {
	b = append(b, "Access is blocked"...)
	if wait != gcra.Never {
		b = append(b, "; retry after "...)
		b = appendWait(b, strconv.FormatInt(Milliseconds(wait), 10), wait)
	}
	return append(b, '.')
}
