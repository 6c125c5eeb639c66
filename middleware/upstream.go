package middleware

import (
	"context"
	"errors"
	"math"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"

	"github.com/keyrate/keyrate/middleware/internal/reply"
)

// MergeUpstream returns a handler that serves proxy behind [RateLimit] if the API that it
// forwards to has its own limits. Otherwise a response would have two contradicting sets of
// rate-limit headers, or none of ours: a ReverseProxy drops them if the upstream sends 100
// Continue or 103 Early Hints first.
//
// The tighter set stays, whole: the one with less remaining, ours if they are equal, and
// always that of an upstream that responds with 429, with its Retry-After. The upstream's
// set is every header that is RateLimit or begins with RateLimit-, X-RateLimit- or
// X-Rate-Limit-, in any of their forms. A set without a remaining count is dropped.
// Retry-After and other headers pass.
//
// A response without our headers, because the key is exempt, the limiter is in shadow mode
// or could not decide, keeps the upstream's set. The ModifyResponse of proxy is called with
// the merged response. Do not change proxy afterwards. MergeUpstream returns an error if proxy is nil.
func MergeUpstream(proxy *httputil.ReverseProxy) (http.Handler, error) {
	if proxy == nil {
		return nil, errors.New("middleware: MergeUpstream: proxy is nil; pass the ReverseProxy that forwards to the API")
	}
	merging := *proxy
	merging.ModifyResponse = func(response *http.Response) error {
		if own, ok := response.Request.Context().Value(ownKey{}).(*ownSet); ok {
			own.restore()
			mergeLimits(own.header, response)
		}
		if proxy.ModifyResponse != nil {
			return proxy.ModifyResponse(response)
		}
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		merging.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ownKey{}, newOwnSet(w.Header()))))
	}), nil
}

// ownKey is the key of an ownSet in the context of a request.
type ownKey struct{}

// An ownSet is our set of headers in a response.
type ownSet struct {
	header http.Header // of the response
	values [][]string  // as RateLimit set them
}

func newOwnSet(h http.Header) *ownSet {
	own := &ownSet{header: h}
	for _, name := range reply.LimitNames {
		own.values = append(own.values, h[name])
	}
	return own
}

// restore puts our set back. The proxy clears the header of the response when the upstream
// sends an informational one first, such as 100 Continue or 103 Early Hints.
func (own *ownSet) restore() {
	for i, name := range reply.LimitNames {
		if own.values[i] != nil {
			own.header[name] = own.values[i]
		}
	}
}

// mergeLimits deletes either our set of headers from own, or the upstream's from response.
func mergeLimits(own http.Header, response *http.Response) {
	if len(own[HeaderRateLimit]) == 0 {
		return // no decision is described
	}
	remaining, found := int64(math.MaxInt64), false
	for name, values := range response.Header {
		if !isLimitHeader(name) {
			continue
		}
		found = true
		for _, value := range values {
			remaining = min(remaining, upstreamRemaining(name, value))
		}
	}
	switch {
	case response.StatusCode == http.StatusTooManyRequests, found && !reply.Tighter(own, int(min(remaining, math.MaxInt))):
		for _, name := range reply.LimitNames {
			delete(own, name)
		}
	default:
		for name := range response.Header {
			if isLimitHeader(name) {
				delete(response.Header, name)
			}
		}
	}
}

// isLimitHeader reports whether a header in canonical form describes a limit.
func isLimitHeader(name string) bool {
	return name == HeaderRateLimit || strings.HasPrefix(name, "Ratelimit-") ||
		strings.HasPrefix(name, "X-Ratelimit-") || strings.HasPrefix(name, "X-Rate-Limit-")
}

// upstreamRemaining returns the least that remains according to one value of a header, or
// math.MaxInt64 if the header has no such number.
func upstreamRemaining(name, value string) int64 {
	switch {
	case name == HeaderRateLimit:
		return leastInField(value)
	case strings.Contains(name, "-Remaining"):
		return wholeNumber(value)
	}
	return math.MaxInt64
}

// leastInField reads RateLimit: the r of each item of a list, or the remaining of the
// dictionary that drafts up to 07 had.
func leastInField(field string) int64 {
	least := int64(math.MaxInt64)
	for part := range strings.FieldsFuncSeq(unquoted(field), func(c rune) bool { return c == ',' || c == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		if name = strings.TrimSpace(name); name == "r" || name == "remaining" {
			least = min(least, wholeNumber(value))
		}
	}
	return least
}

// unquoted returns the first 8 KB of a field of RFC 9651 without its strings.
func unquoted(field string) string {
	var b strings.Builder
	quoted, escaped := false, false
	for _, c := range []byte(field[:min(len(field), 8<<10)]) {
		switch {
		case escaped:
			escaped = false
		case quoted && c == '\\':
			escaped = true
		case c == '"':
			quoted = !quoted
		case !quoted:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// wholeNumber parses a number of tokens and cuts off a fraction. It returns 0 for a negative
// number and math.MaxInt64 for what is not a number.
func wholeNumber(s string) int64 {
	whole, _, _ := strings.Cut(strings.TrimSpace(s), ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return math.MaxInt64
	}
	return max(n, 0)
}
