package library

import (
	"net/http"
	"strconv"

	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

// referenceHandler sends what keyrate sends, of one limit, with as little as it
// takes: constants where it can, all other values in one string and one array.
// It checks nothing.
func referenceHandler(s Setting, next http.Handler) (http.Handler, error) {
	window := strconv.Itoa(int(s.Limit.Per.Seconds()))
	return &referenceGate{
		table:  newTable(s),
		next:   next,
		policy: []string{`"default";q=` + strconv.Itoa(s.Limit.Tokens) + ";w=" + window},
		limit:  []string{strconv.Itoa(s.Limit.Tokens)},
		body: `{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Quota Exceeded",` +
			`"status":429,"detail":"Rate limit of ` + strconv.Itoa(s.Limit.Tokens) + ` requests per ` + window +
			`s exceeded.","violated-policies":["default"],"retry_after_ms":`,
		kind:    []string{"application/problem+json"},
		nosniff: []string{"nosniff"},
		nostore: []string{"no-store"},
	}, nil
}

type referenceGate struct {
	table                                 *reference
	next                                  http.Handler
	policy, limit, kind, nosniff, nostore []string
	body                                  string
}

func (g *referenceGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := ""
	if values := r.Header[load.KeyHeader]; len(values) == 1 {
		key = values[0]
	}
	debt, allowed := g.table.take(key)
	wait := max(debt+g.table.one-g.table.all, 0)
	var space [64]byte
	b := append(space[:0], `"default";r=`...)
	b = strconv.AppendInt(b, (g.table.all-debt)/g.table.one, 10)
	left := len(b)
	b = append(b, ";t="...)
	b = strconv.AppendInt(b, wait/1e9+1, 10)
	state := len(b)
	b = strconv.AppendInt(b, wait/1e6+1, 10)
	text := string(b)
	values := new([4]string)
	values[0], values[1] = text[:state], text[len(`"default";r=`):left]
	h := w.Header()
	h["Ratelimit-Policy"] = g.policy
	h["Ratelimit"] = values[0:1:1]
	h["X-Rate-Limit-Limit"] = g.limit
	h["X-Rate-Limit-Remaining"] = values[1:2:2]
	if allowed {
		g.next.ServeHTTP(w, r)
		return
	}
	values[2], values[3] = text[left+len(";t="):state], text[state:]
	h["Retry-After"] = values[2:3:3]
	h["Retry-After-Ms"] = values[3:4:4]
	h["Content-Type"] = g.kind
	h["X-Content-Type-Options"] = g.nosniff
	h["Cache-Control"] = g.nostore
	w.WriteHeader(http.StatusTooManyRequests)
	body := append(make([]byte, 0, 512), g.body...)
	body = append(append(body, values[3]...), '}', '\n')
	_, _ = w.Write(body)
}
