package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware/transport"
)

type baseFunc func(*http.Request) (*http.Response, error)

func (f baseFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestNewRefusesANilBase in an interface: it would panic with the first request. nil
// itself stands for http.DefaultTransport.
func TestNewRefusesANilBase(t *testing.T) {
	for want, base := range map[string]http.RoundTripper{
		"*http.Transport":         (*http.Transport)(nil),
		"*transport.Transport":    (*transport.Transport)(nil),
		"transport_test.baseFunc": baseFunc(nil),
	} {
		if tr, err := transport.New(base, transport.Config{}); tr != nil || err == nil || !strings.Contains(err.Error(), "nil "+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := transport.New(nil, transport.Config{}); err != nil {
		t.Error(err)
	}
}
