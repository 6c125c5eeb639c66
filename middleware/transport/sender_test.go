package transport

import (
	"net/http"
	"testing"
)

// TestIdempotent checks which requests may be sent again although they may have been
// served.
func TestIdempotent(t *testing.T) {
	for _, c := range []struct {
		method string
		header http.Header
		want   bool
	}{
		{"", nil, true},
		{http.MethodGet, nil, true},
		{http.MethodHead, nil, true},
		{http.MethodOptions, nil, true},
		{http.MethodTrace, nil, true},
		{http.MethodPut, nil, true},
		{http.MethodDelete, nil, true},
		{http.MethodPost, nil, false},
		{http.MethodPatch, nil, false},
		{http.MethodConnect, nil, false},
		{"PURGE", nil, false},
		{"get", nil, false}, // methods are case-sensitive
		{http.MethodPost, http.Header{"Idempotency-Key": {"1"}}, true},
		{http.MethodPost, http.Header{"X-Idempotency-Key": {"1"}}, true},
		{http.MethodPatch, http.Header{"X-Idempotency-Key": {"1"}}, true},
		{http.MethodPost, http.Header{"X-Idempotency-Key": {}}, true}, // as in http.Transport: an empty one is not sent, and counts
		{http.MethodPost, http.Header{"X-Request-Id": {"1"}}, false},
	} {
		if got := idempotent(&http.Request{Method: c.method, Header: c.header}); got != c.want {
			t.Errorf("%q with %v: %t, want %t", c.method, c.header, got, c.want)
		}
	}
}
