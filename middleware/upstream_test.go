package middleware_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// behindLimit returns a proxy to upstream behind five calls a minute.
func behindLimit(t *testing.T, c ratelimit.Config, upstream http.HandlerFunc, wrap func(*httputil.ReverseProxy) (http.Handler, error)) http.Handler {
	t.Helper()
	s := httptest.NewServer(upstream)
	t.Cleanup(s.Close)
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	return middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerMinute(5), c), byKey))(middleware.Must(wrap(proxy)))
}

// TestMergeUpstream: of two sets of headers the tighter one stays, whole.
func TestMergeUpstream(t *testing.T) {
	for _, c := range []struct {
		name     string
		status   int
		upstream string // headers, one a line
		ours     bool   // our set stays: 4 of 5 remain
	}{
		{"upstream has none", 200, "", true},
		{"same program, looser", 200, "RateLimit-Policy: \"default\";q=100;w=60\nRateLimit: \"default\";r=99;t=60\nX-Rate-Limit-Limit: 100\nX-Rate-Limit-Remaining: 99", true},
		{"same program, tighter", 200, "RateLimit-Policy: \"default\";q=100;w=60\nRateLimit: \"default\";r=3;t=60\nX-Rate-Limit-Limit: 100\nX-Rate-Limit-Remaining: 3\nX-Rate-Limit-Reset: 7", false},
		{"equal", 200, "RateLimit: \"default\";r=4;t=60", true},
		{"list, the second item tighter", 200, "RateLimit: \"a\";r=50;t=60, \"b\";r=1;t=9", false},
		{"list in two fields", 200, "RateLimit: \"a\";r=50;t=60\nRateLimit: \"b\";r=1;t=9", false},
		{"a name that looks like a count", 200, "RateLimit: \"a;r=1, b\\\";r=2\";r=50;t=60", true},
		{"dictionary of draft 07", 200, "RateLimit: limit=100, remaining=2, reset=5", false},
		{"dictionary, looser", 200, "RateLimit: limit=100, remaining=20, reset=5", true},
		{"three fields", 200, "RateLimit-Limit: 100\nRateLimit-Remaining: 2\nRateLimit-Reset: 5", false},
		{"GitHub, tighter", 200, "X-RateLimit-Limit: 60\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 1767614400\nX-RateLimit-Used: 60\nX-RateLimit-Resource: core", false},
		{"GitHub, looser", 403, "X-RateLimit-Limit: 60\nX-RateLimit-Remaining: 59\nX-RateLimit-Reset: 1767614400\nX-RateLimit-Used: 1", true},
		{"OpenAI, tokens tighter", 200, "X-RateLimit-Remaining-Requests: 500\nX-RateLimit-Remaining-Tokens: 2", false},
		{"fraction", 200, "X-RateLimit-Remaining: 3.9", false},
		{"below zero", 200, "X-RateLimit-Remaining: -1", false},
		{"no number", 200, "X-RateLimit-Remaining: many\nX-RateLimit-Limit: 1", true},
		{"limit alone", 200, "X-Rate-Limit-Limit: 1\nRateLimit-Policy: \"a\";q=1;w=1", true},
		{"429 that says nothing", 429, "Retry-After: 7", false},
		{"429 with room left by its own account", 429, "Retry-After: 7\nRateLimit: \"a\";r=9;t=7\nRetry-After-Ms: 6500", false},
		{"503", 503, "Retry-After: 7", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			sent := http.Header{}
			for line := range strings.Lines(c.upstream) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				sent.Add(name, value)
			}
			h := behindLimit(t, ratelimit.Config{}, func(w http.ResponseWriter, _ *http.Request) {
				maps.Copy(w.Header(), sent)
				w.WriteHeader(c.status)
			}, middleware.MergeUpstream)
			got := wantStatus(t, h, call{key: "k"}, c.status).Header()
			want := sent.Clone()
			if c.ours {
				want = http.Header{
					middleware.HeaderPolicy: {`"default";q=5;w=60`}, middleware.HeaderRateLimit: {`"default";r=4;t=48`},
					middleware.HeaderLimit: {"5"}, middleware.HeaderRemaining: {"4"},
				}
				if retry := sent["Retry-After"]; retry != nil {
					want["Retry-After"] = retry
				}
			}
			got.Del("Date")
			got.Del("Content-Length")
			for _, name := range slices.Sorted(maps.Keys(got)) {
				if !slices.Equal(got[name], want[name]) {
					t.Errorf("%s: %q, want %q", name, got[name], want[name])
				}
			}
			if len(got) != len(want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

// TestMergeUpstreamUndescribed: where our limit says nothing, the upstream's set passes.
func TestMergeUpstreamUndescribed(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Ratelimit-Remaining", "99") }
	h := behindLimit(t, ratelimit.Config{Shadow: true}, upstream, middleware.MergeUpstream)
	if got := (call{key: "k"}).to(h).Header().Get("X-Ratelimit-Remaining"); got != "99" {
		t.Errorf("in shadow mode the upstream's header is %q, want 99", got)
	}
}

// TestMergeUpstreamInformational: an informational response before the final one takes no
// header. After 103 and 100 the proxy clears those that were set before.
func TestMergeUpstreamInformational(t *testing.T) {
	for _, c := range []struct {
		name     string
		statuses []int
		upstream string // what remains by its own limit, "" if it has none
		ours     string
	}{
		{"early hints", []int{103}, "", "4"},
		{"twice", []int{103, 103}, "", "4"},
		{"continue", []int{100}, "", "4"},
		{"processing, looser", []int{102}, "99", "4"},
		{"early hints, tighter", []int{103}, "2", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := behindLimit(t, ratelimit.Config{}, func(w http.ResponseWriter, _ *http.Request) {
				for _, status := range c.statuses {
					w.WriteHeader(status)
				}
				if c.upstream != "" {
					w.Header().Set("X-RateLimit-Remaining", c.upstream)
				}
				w.WriteHeader(http.StatusOK)
			}, middleware.MergeUpstream)
			s := httptest.NewServer(h)
			defer s.Close()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-API-Key", "k")
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if got := response.Header.Get(middleware.HeaderRemaining); got != c.ours {
				t.Errorf("%s is %q, want %q", middleware.HeaderRemaining, got, c.ours)
			}
			theirs := c.upstream
			if c.ours != "" {
				theirs = ""
			}
			if got := response.Header.Get("X-RateLimit-Remaining"); got != theirs {
				t.Errorf("X-RateLimit-Remaining is %q, want %q", got, theirs)
			}
		})
	}
}

// TestMergeUpstreamModifies: the proxy's own ModifyResponse is called, and its error counts.
func TestMergeUpstreamModifies(t *testing.T) {
	upstream := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Ratelimit-Remaining", "99") }
	for _, fault := range []error{nil, http.ErrNotSupported} {
		h := behindLimit(t, ratelimit.Config{}, upstream, func(p *httputil.ReverseProxy) (http.Handler, error) {
			p.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
			p.ModifyResponse = func(r *http.Response) error {
				if got := r.Header.Get("X-Ratelimit-Remaining"); got != "" {
					t.Errorf("ModifyResponse sees a header that gave way: %q", got)
				}
				return fault
			}
			return middleware.MergeUpstream(p)
		})
		want := http.StatusOK
		if fault != nil {
			want = http.StatusBadGateway
		}
		wantStatus(t, h, call{key: "k"}, want)
	}
}

func TestMergeUpstreamOfNil(t *testing.T) {
	if h, err := middleware.MergeUpstream(nil); h != nil || err == nil || !strings.Contains(err.Error(), "proxy is nil") {
		t.Errorf("%v, error %v; want a text that names the proxy", h, err)
	}
}
