package transport_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware/transport"
)

// TestBodies checks which requests with a body are sent again, and that every body is
// closed.
func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name    string
		method  string
		getBody bool
		never   bool // the base does not read it
		status  int  // of the denial
		header  http.Header
		sent    int
	}{
		{"with GetBody", http.MethodPost, true, false, 429, nil, 2},
		{"without, read", http.MethodPost, false, false, 429, nil, 1},
		{"without, not read", http.MethodPost, false, true, 429, nil, 2},
		{"503 to POST", http.MethodPost, true, false, 503, nil, 1},
		{"503 to PUT", http.MethodPut, true, false, 503, nil, 2},
		{"503 to POST with an idempotency key", http.MethodPost, true, false, 503, headers("Idempotency-Key: 1"), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{never: c.never, answers: []answer{{status: c.status, header: headers("Retry-After: 1")}, ok}}
				var bodies []*trackedBody
				body := func() *trackedBody {
					b := &trackedBody{Reader: strings.NewReader("a body")}
					bodies = append(bodies, b)
					return b
				}
				r := request(t, "https://api.example.com/")
				r.Method, r.Body = c.method, body()
				if c.getBody {
					r.GetBody = func() (io.ReadCloser, error) { return body(), nil }
				}
				maps.Copy(r.Header, c.header)
				before := r.Clone(r.Context())
				status, _ := do(t, mustNew(t, s, transport.Config{}), r)
				if len(s.times) != c.sent || (status == http.StatusOK) != (c.sent == 2) {
					t.Errorf("sent %d times, want %d; status %d", len(s.times), c.sent, status)
				}
				for i, b := range bodies {
					if b.closed.Load() == 0 {
						t.Errorf("body %d was not closed", i)
					}
				}
				for _, text := range s.bodies {
					if text != "a body" {
						t.Errorf("the server got %q", text)
					}
				}
				if r.Body != before.Body || !reflect.DeepEqual(r.Header, before.Header) || r.URL.String() != before.URL.String() || r.Method != before.Method {
					t.Error("the request was changed")
				}
			})
		})
	}
}

// TestBodyOfUnsent checks that the body of a request is closed although the request is
// not sent.
func TestBodyOfUnsent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &trackedBody{Reader: strings.NewReader("a body")}
	r := request(t, "https://api.example.com/").WithContext(ctx)
	r.Body = b
	if err := errorOf(t, mustNew(t, &script{answers: []answer{ok}}, transport.Config{}), r); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if b.closed.Load() == 0 || b.read.Load() {
		t.Error("the body was read, or not closed")
	}
}

// TestGetBodyFails checks that the error of GetBody is returned.
func TestGetBodyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := errors.New("the file is gone")
		r := request(t, "https://api.example.com/")
		r.Body = &trackedBody{Reader: strings.NewReader("a body")}
		r.GetBody = func() (io.ReadCloser, error) { return nil, gone }
		s := &script{answers: []answer{denial("Retry-After: 1"), ok}}
		if err := errorOf(t, mustNew(t, s, transport.Config{}), r); !errors.Is(err, gone) {
			t.Error(err)
		}
	})
}
