package transport_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware/transport"
)

func mustNew(t testing.TB, base http.RoundTripper, c transport.Config) *transport.Transport {
	t.Helper()
	tr, err := transport.New(base, c)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func request(t testing.TB, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", "key")
	return r
}

func observer(f func(transport.Event)) func(context.Context, transport.Event) {
	return func(_ context.Context, e transport.Event) { f(e) }
}

// headers returns a header with lines of the form "Name: value".
func headers(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		h.Add(name, strings.TrimSpace(value))
	}
	return h
}
