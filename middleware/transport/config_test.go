package transport_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// TestKeyPanics checks that the credentials count if Key panics.
func TestKeyPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{{status: 200, header: headers(`RateLimit-Policy: "default";q=1;w=10`, `RateLimit: "default";r=0;t=10`)}}}
		tr := mustNew(t, s, transport.Config{Key: func(*http.Request) string { panic("a key") }})
		for _, key := range []string{"a", "a", "b"} {
			r := request(t, "https://api.example.com/")
			r.Header.Set("X-Api-Key", key)
			do(t, tr, r)
		}
		if len(s.times) != 3 || !near(s.times[1], 10*time.Second) || s.times[2] != s.times[1] {
			t.Errorf("sent at %v", s.times)
		}
	})
}

func TestNewFaults(t *testing.T) {
	tr, err := transport.New(nil, transport.Config{MaxWait: -1, MaxPaces: -1})
	if tr != nil || err == nil || strings.Count(err.Error(), "\n") != 1 || !strings.Contains(err.Error(), "MaxWait") || !strings.Contains(err.Error(), "MaxPaces") {
		t.Errorf("%v, %v", tr, err)
	}
}

// TestShared checks that requests to one host with one key share a pace, and no others
// do.
func TestShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limited := false
		base := network{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if !limited {
				limited = true
				w.Header().Set("RateLimit-Policy", `"default";q=1;w=10`)
				w.Header().Set("RateLimit", `"default";r=0;t=10`)
			}
		})}
		for _, c := range []struct {
			name   string
			change func(*http.Request)
			config transport.Config
			shared bool
		}{
			{"the same", func(*http.Request) {}, transport.Config{}, true},
			{"another path", func(r *http.Request) { r.URL.Path = "/other" }, transport.Config{}, true},
			{"another spelling of the host", func(r *http.Request) { r.URL.Host = "API.example.com" }, transport.Config{}, true},
			{"another host", func(r *http.Request) { r.URL.Host = "www.example.com" }, transport.Config{}, false},
			{"another port", func(r *http.Request) { r.URL.Host = "api.example.com:8443" }, transport.Config{}, false},
			{"another key", func(r *http.Request) { r.Header.Set("X-Api-Key", "another") }, transport.Config{}, false},
			{"a token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer token") }, transport.Config{}, false},
			{"a user in the URL", func(r *http.Request) { r.URL.Host = "api.example.com"; r.SetBasicAuth("user", "password") }, transport.Config{}, false},
			{"another key that does not count", func(r *http.Request) { r.Header.Set("X-Api-Key", "another") }, transport.Config{Key: func(*http.Request) string { return "" }}, true},
			{"another path that counts", func(r *http.Request) { r.URL.Path = "/other" }, transport.Config{Key: func(r *http.Request) string { return r.URL.Path }}, false},
		} {
			limited = false
			tr := mustNew(t, base, c.config)
			do(t, tr, request(t, "https://api.example.com/"))
			began := time.Now()
			r := request(t, "https://api.example.com/")
			c.change(r)
			do(t, tr, r)
			if waited := time.Since(began); (waited > 0) != c.shared {
				t.Errorf("%s: waited %v", c.name, waited)
			}
		}
	})
}
