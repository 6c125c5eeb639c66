package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ulule/limiter/v3"
)

// TestAddress shows whose address counts where no key getter is set.
func TestAddress(t *testing.T) {
	for _, c := range []struct {
		peer, forwarded string
		options         []limiter.Option
		want            string
	}{
		{peer: "192.0.2.1:1234", forwarded: "198.51.100.1, 198.51.100.2", want: "192.0.2.1"},
		{peer: "192.0.2.1:1234", forwarded: "198.51.100.1, 198.51.100.2", options: []limiter.Option{limiter.WithTrustForwardHeader(true)}, want: "198.51.100.1"},
		{peer: "[2001:db8::1:2:3:4]:1234", want: "2001:db8::1:2:3:4"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.RemoteAddr = c.peer
		r.Header.Set("X-Forwarded-For", c.forwarded)
		if got := limiter.New(nil, limiter.Rate{}, c.options...).GetIPKey(r); got != c.want {
			t.Errorf("%s, forwarded for %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
}
