package middleware_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

func TestRouteName(t *testing.T) {
	long := "GET /accounts/{account}/reports/{year}/{month}/{day}/export.csv"
	for _, c := range []struct{ pattern, name, want string }{
		{"GET /export", "", "GET /export"},
		{"GET /export", "default", "GET /export"},
		{"GET /export", "daily", "GET /export#daily"},
		{"GET /export", "a #%~ b", "GET /export#a #%~ b"},
		{"/items/{id}/", "", "/items/{id}/"},
		{"POST example.com/{path...}", "", "POST example.com/{path...}"},
		{"/é", "", "/%C3%A9"},
		{"/%61", "", "/%2561"},
		{"/~user#,;\"\\\x7f\x00", "", "/%7Euser%23%2C%3B%22%5C%7F%00"},
		{" /x ", "", "%20/x%20"},
		{" /x ", "n", "%20/x%20#n"},
		{"GET\t/x", "", "GET%09/x"},
		{long, "", long},
		{long, "x", "GET /accounts/{account}/reports/{year}/{m~JRh4p_9DvYwp9Np3vso-yw"},
		{"/x", strings.Repeat("n", 64), "/x~q7jp2ZupMpuDeJeKfvWiNQ"},
	} {
		got := middleware.RouteName(c.pattern, c.name)
		if got != c.want {
			t.Errorf("RouteName(%q, %q) = %q, want %q", c.pattern, c.name, got, c.want)
		}
		if _, err := ratelimit.NewPolicy(five.Named(got)); err != nil {
			t.Error(err)
		}
	}
}

// FuzzRouteName: every name can be used, and no two patterns and names have the same.
func FuzzRouteName(f *testing.F) {
	long := "/" + strings.Repeat("long/", 15)
	for _, c := range [][4]string{
		{"GET /export", "", "GET /export", "daily"},
		{"GET /a", "b", "GET /a#b", ""},
		{"GET /a", "b#c", "GET /a#b", "c"},
		{"/,", "", "/%2C", ""},
		{"/x", "", "/x", "default"},
		{" /x", "", "/x", ""},
		{long, "", long, "x"},
		{long, "", "/long/long/long/long/long/long/long/long/~" + strings.Repeat("A", 22), ""},
		{"/x", strings.Repeat("n", 64), "/x~q7jp2ZupMpuDeJeKfvWiNQ", ""},
		{"/a/\xff", "", "/a/\xfe", ""},
	} {
		f.Add(c[0], c[1], c[2], c[3])
	}
	f.Fuzz(func(t *testing.T, pattern, name, pattern2, name2 string) {
		valid := func(pattern, name string) bool {
			_, err := ratelimit.NewPolicy(five.Named(name))
			return pattern != "" && err == nil
		}
		if !valid(pattern, name) {
			return
		}
		one := middleware.RouteName(pattern, name)
		if _, err := ratelimit.NewPolicy(five.Named(one)); err != nil {
			t.Errorf("RouteName(%q, %q) = %q: %v", pattern, name, one, err)
		}
		if !valid(pattern2, name2) {
			return
		}
		orDefault := func(name string) string {
			if name == "" {
				return "default"
			}
			return name
		}
		same := pattern == pattern2 && orDefault(name) == orDefault(name2)
		if two := middleware.RouteName(pattern2, name2); (one == two) != same {
			t.Errorf("%q for %q and %q; %q for %q and %q", one, pattern, name, two, pattern2, name2)
		}
	})
}

// FuzzRoutes: of a mux with any pattern, the route of that pattern is found, and holds
// what the mux serves by it and nothing else; a pattern that is rejected serves no request.
func FuzzRoutes(f *testing.F) {
	for _, p := range []string{"GET /export", "/", "/{$}", "/a/{b}/{c...}", "/%2e%2E/x", "POST h/a%2Fb/", "/é {", " /x", "CONNECT /a//b", "/{x}/", "HEAD\t\t/%", "h:1/x", "/../x", "/a b%20c"} {
		f.Add(p, "/export")
	}
	f.Add("/{x}", "/%2F")
	f.Fuzz(func(t *testing.T, pattern, path string) {
		mux := http.NewServeMux()
		if !registers(mux, pattern) {
			return
		}
		for _, other := range []string{"/keyrate/{a}/b", "GET /{keyrate...}"} {
			registers(mux, other)
		}
		l := newLimiter(t, ratelimit.PerSecond(1000), ratelimit.Config{})
		h, err := middleware.Routes(l, mux, quiet(middleware.Config{}), middleware.Route{Pattern: pattern, Limits: []ratelimit.Limit{five}, Instead: true})
		if path == "" || path[0] != '/' {
			return
		}
		r := call{}.request()
		r.URL.Path = path
		_, served := mux.Handler(r)
		if err != nil {
			if served == pattern {
				t.Errorf("%q is rejected, but serves %q: %v", pattern, path, err)
			}
			return
		}
		w := &sink{header: http.Header{}}
		h.ServeHTTP(w, r)
		names := listed(w.header)
		held := len(names) == 1 && names[0] == middleware.RouteName(pattern, "")
		if redirected := w.status == http.StatusTemporaryRedirect; held != (served == pattern && !redirected) {
			t.Errorf("%q, which %q serves, is held to %q, status %d", path, served, names, w.status)
		}
	})
}

// registers reports whether a mux accepts a pattern.
func registers(mux *http.ServeMux, pattern string) (ok bool) {
	defer func() { ok = recover() == nil }()
	mux.Handle(pattern, bare)
	return true
}
