package transport

import (
	"hash/maphash"
	"net/http"
	"strings"

	"github.com/keyrate/keyrate/middleware/transport/internal/pace"
)

// routeSegments is how many segments of a path count: enough for /api/v1/search, and
// for /users/{id}/export.
const routeSegments = 3

// routeOf returns the route of a request: its method and the first segments of its
// path. Nothing of the path is kept but a hash.
func (t *Transport) routeOf(r *http.Request) pace.Route {
	var h maphash.Hash
	h.SetSeed(t.routeSeed)
	_, _ = h.WriteString(r.Method)
	n := 0
	for segment := range strings.SplitSeq(r.URL.Path, "/") {
		if segment == "" {
			continue
		}
		if n++; n > routeSegments {
			break
		}
		if isID(segment) {
			segment = "*"
		}
		_ = h.WriteByte('/')
		_, _ = h.WriteString(segment)
	}
	return pace.Route(h.Sum64())
}

// isID reports whether a segment of a path is most likely one of very many: it has a
// digit, and is no version such as v1 or v2.1.
func isID(segment string) bool {
	digit := strings.ContainsAny(segment, "0123456789")
	version := len(segment) < 6 && (segment[0] == 'v' || segment[0] == 'V') && strings.Trim(segment[1:], "0123456789.") == ""
	return digit && !version
}
