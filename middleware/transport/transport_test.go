package transport_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware/transport"
)

// A closer counts calls of CloseIdleConnections.
type closer struct {
	roundTripper
	n int
}

func (c *closer) CloseIdleConnections() { c.n++ }

func TestCloseIdleConnections(t *testing.T) {
	c := &closer{}
	client := &http.Client{Transport: mustNew(t, c, transport.Config{})}
	client.CloseIdleConnections()
	if c.n != 1 {
		t.Errorf("called %d times", c.n)
	}
	mustNew(t, roundTripper(func(*http.Request) (*http.Response, error) { return nil, http.ErrHandlerTimeout }), transport.Config{}).CloseIdleConnections() // base has no such method
}

// TestNewRejectsANilBase: a nil pointer or function in an interface would panic with the
// first request. nil itself stands for http.DefaultTransport.
func TestNewRejectsANilBase(t *testing.T) {
	for want, base := range map[string]http.RoundTripper{
		"*http.Transport":             (*http.Transport)(nil),
		"*transport.Transport":        (*transport.Transport)(nil),
		"transport_test.roundTripper": roundTripper(nil),
	} {
		if tr, err := transport.New(base, transport.Config{}); tr != nil || err == nil || !strings.Contains(err.Error(), "nil "+want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if _, err := transport.New(nil, transport.Config{}); err != nil {
		t.Error(err)
	}
}
