package middleware

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// lookUp returns the handler that is registered with a mux for a pattern, or an error with
// the pattern that the mux finds instead. A ServeMux does not list its patterns, so we look
// up synthetic requests that only this pattern should match.
func lookUp(mux *http.ServeMux, pattern string) (http.Handler, error) {
	if pattern == "" {
		return nil, errors.New(`Route.Pattern must be one of the mux, such as "GET /export"`)
	}
	var other string
	for r := range probes(pattern) {
		h, found := mux.Handler(r)
		if found == pattern {
			return h, nil
		}
		other = cmp.Or(other, found)
	}
	want := "Route.Pattern must be registered with the mux before, in the same spelling"
	if other != "" {
		return nil, fmt.Errorf("%s, and have requests of its own; those that it matches go to %q", want, other)
	}
	if other = otherMethod(mux, pattern); other != "" {
		return nil, fmt.Errorf("%s: the method is a part of it, and the mux has %q", want, other)
	}
	return nil, errors.New(want)
}

// otherMethod returns the pattern that the mux finds for the path of a pattern with a common
// method, or "".
func otherMethod(mux *http.ServeMux, pattern string) string {
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		for r := range probes(pattern) {
			r.Method = method
			if _, found := mux.Handler(r); found != "" {
				return found
			}
		}
	}
	return ""
}

// mostDeep is how many segments a probe has at most beyond those of the pattern: more
// specific patterns may be below one that ends in a slash.
const mostDeep = 8

// probes returns requests that a pattern matches, with a random method and random segments
// where it allows them, and of several depths if it matches all paths below one.
func probes(pattern string) func(yield func(*http.Request) bool) {
	method, rest, found := cutSpace(pattern)
	if !found {
		method, rest = rand.Text(), pattern
	}
	if method == "" {
		method = rand.Text()
	}
	host, path, _ := strings.Cut(rest, "/")
	segments := strings.Split(path, "/")
	last := segments[len(segments)-1]
	below := last == "" || strings.HasSuffix(last, "...}")
	for i, s := range segments {
		segments[i] = sample(s)
	}
	if below {
		segments[len(segments)-1] = ""
	}
	return func(yield func(*http.Request) bool) {
		for deep := 0; deep == 0 || below && deep <= mostDeep; deep++ {
			if deep > 0 {
				segments[len(segments)-1] = rand.Text()
			}
			if deep > 1 {
				segments = append(segments, rand.Text())
			}
			escaped := "/" + strings.Join(segments, "/")
			plain, err := url.PathUnescape(escaped)
			if err != nil {
				return
			}
			u := &url.URL{Host: host, Path: plain, RawPath: escaped}
			if !yield(&http.Request{Method: method, Host: host, URL: u, Header: http.Header{}}) {
				return
			}
		}
	}
}

// sample returns an escaped segment of a path that a segment of a pattern matches.
func sample(segment string) string {
	if segment == "{$}" {
		return ""
	}
	if strings.HasPrefix(segment, "{") {
		return rand.Text()
	}
	plain, err := url.PathUnescape(segment)
	if err != nil {
		plain = segment // as the mux does
	}
	if plain == "." || plain == ".." {
		return strings.ReplaceAll(plain, ".", "%2E") // else the mux removes it
	}
	return url.PathEscape(plain)
}

// cutSpace cuts the method from a pattern.
func cutSpace(pattern string) (method, rest string, found bool) {
	i := strings.IndexAny(pattern, " \t")
	if i < 0 {
		return "", pattern, false
	}
	return pattern[:i], strings.TrimLeft(pattern[i+1:], " \t"), true
}
