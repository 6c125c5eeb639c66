package transport

import (
	"crypto/sha256"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/middleware/internal/pace"
)

// keyOf returns a hash of the host and the credential of a request, so that no credential
// is kept. found is false if the default Key finds none.
func (t *Transport) keyOf(r *http.Request) (key pace.Key, found bool) {
	host := strings.ToLower(r.URL.Scheme + "://" + r.URL.Host)
	text := t.config.key(r)
	b := appendText(slices.Clip(t.seed), host)
	return sha256.Sum256(append(b, text...)), text != "" || t.config.Key != nil
}

// key returns what Key returns, or the credentials if Key is nil or panics.
func (c Config) key(r *http.Request) (key string) {
	if c.Key != nil && try(func() { key = c.Key(r) }) {
		return key
	}
	return credentials(r)
}

// routeSegments is how many segments of a path count: enough for /api/v1/search and
// /users/{id}/export.
const routeSegments = 3

// routeOf returns the route of a request: a hash of its method and the first segments of
// its path.
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

// isID reports whether a segment of a path is most likely an identifier: it has a digit
// and is no version such as v1 or v2.1.
func isID(segment string) bool {
	digit := strings.ContainsAny(segment, "0123456789")
	version := len(segment) < 6 && (segment[0] == 'v' || segment[0] == 'V') && strings.Trim(segment[1:], "0123456789.") == ""
	return digit && !version
}
