package middleware_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestLinger: a caller whose upload is denied gets the answer, whatever it sends at the
// same time, and then the end of the connection, not a reset of it. The server reads none
// of the upload.
func TestLinger(t *testing.T) {
	const sent = 100_000 // of a megabyte, which fits into the buffers of a socket
	byKey := middleware.Header("X-API-Key")
	deny := func(c middleware.Config) func(*testing.T) http.Handler {
		return func(t *testing.T) http.Handler {
			h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), quiet(c)))(hello)
			call{key: "k"}.to(h)
			return h
		}
	}
	handlers := []struct {
		name    string
		handler func(*testing.T) http.Handler
		header  string
		status  int
	}{
		{"429", deny(middleware.Config{Key: byKey}), "X-API-Key: k", 429},
		{"Denied", deny(middleware.Config{Key: byKey, Denied: func(w http.ResponseWriter, _ *http.Request, _ ratelimit.Result) {
			w.WriteHeader(http.StatusTooManyRequests)
			fmt.Fprint(w, "later")
		}}), "X-API-Key: k", 429},
		{"Denied silent", deny(middleware.Config{Key: byKey, Denied: func(http.ResponseWriter, *http.Request, ratelimit.Result) {}}), "X-API-Key: k", 429},
		{"wrapped", func(t *testing.T) http.Handler {
			h := deny(middleware.Config{Key: byKey})(t)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrappable{unwrappable{w}}, r) })
		}, "X-API-Key: k", 429},
		{"400", deny(middleware.Config{Key: byKey}), "X-API-Key: k\r\nX-API-Key: l", 400},
		{"401", deny(middleware.Config{Key: byKey, RequireKey: true}), "X-Nothing: k", 401},
		{"503", func(t *testing.T) http.Handler {
			return middleware.Must(middleware.RateLimit(limiterOn(t, brokenStore{err: errDown}, five, ratelimit.Config{}), quiet(middleware.Config{FailClosed: true})))(hello)
		}, "X-API-Key: k", 503},
	}
	heads := []struct{ name, head string }{
		{"HTTP 1.0", "POST / HTTP/1.0\r\nContent-Length: 1000000"},
		{"close", "POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 1000000"},
		{"close in a list", "PUT / HTTP/1.1\r\nConnection: foo, Close\r\nContent-Length: 1000000"},
		{"keep-alive", "POST / HTTP/1.1\r\nContent-Length: 1000000"},
		{"expected, and not waited for", "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 1000000"},
		{"expected and close", "POST / HTTP/1.1\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 1000000"},
	}
	for _, h := range handlers {
		s := httptest.NewServer(h.handler(t))
		t.Cleanup(s.Close)
		for _, head := range heads {
			t.Run(h.name+" "+head.name, func(t *testing.T) {
				t.Parallel()
				conn := dial(t, s)
				upload := head.head + "\r\nHost: x\r\n" + h.header + "\r\n\r\n" + strings.Repeat("x", sent)
				if _, err := io.WriteString(conn, upload); err != nil {
					t.Fatal(err)
				}
				r := bufio.NewReader(conn)
				response, err := http.ReadResponse(r, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer response.Body.Close()
				if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != h.status || !response.Close {
					t.Errorf("status %d, close %v (error %v), want %d and close", response.StatusCode, response.Close, err, h.status)
				}
				if _, err := r.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("after the answer: %v, want the end of the connection", err)
				}
			})
		}
	}
}

// unwrappable hides the server's ResponseWriter as middlewares do.
type unwrappable struct{ http.ResponseWriter }

func (u unwrappable) Unwrap() http.ResponseWriter { return u.ResponseWriter }

// TestLingerUnwrapEndless: a ResponseWriter that unwraps to itself, to another that unwraps
// to it, or to nil, does not keep the answer waiting.
func TestLingerUnwrapEndless(t *testing.T) {
	var first, second circular
	first.inner, second.inner = &second, &first
	var self circular
	self.inner = &self
	for name, inner := range map[string]http.ResponseWriter{"itself": &self, "a circle": &first, "nil": nil} {
		t.Run(name, func(t *testing.T) {
			h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{}))(hello)
			for _, want := range []int{http.StatusOK, http.StatusTooManyRequests} {
				w := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader("x"))
				r.Close = true
				h.ServeHTTP(&circular{ResponseWriter: w, inner: inner}, r)
				if w.Code != want {
					t.Errorf("status %d, want %d", w.Code, want)
				}
			}
		})
	}
}

type circular struct {
	http.ResponseWriter
	inner http.ResponseWriter
}

func (c *circular) Unwrap() http.ResponseWriter { return c.inner }

// TestLingerDeniedReads: Config.Denied can still read the body.
func TestLingerDeniedReads(t *testing.T) {
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{
		Denied: func(w http.ResponseWriter, r *http.Request, _ ratelimit.Result) {
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.Copy(w, r.Body)
		},
	}))(hello)
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		for range 3 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, strings.NewReader("all of it"))
			if err != nil {
				t.Fatal(err)
			}
			r.Close = true
			response, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || response.StatusCode == http.StatusTooManyRequests && string(body) != "all of it" {
				t.Errorf("%s: %q (error %v)", response.Status, body, err)
			}
		}
	})
}
