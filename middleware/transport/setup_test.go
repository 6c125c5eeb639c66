package transport_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/middleware/transport"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
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

// A script answers with its responses in order, and repeats the last one.
type script struct {
	mu      sync.Mutex
	answers []answer
	times   []time.Duration // of the requests, since the first
	bodies  []string
	first   time.Time
	never   bool // does not read bodies
}

type answer struct {
	status int
	header http.Header
	body   string
	takes  time.Duration
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if s.first.IsZero() {
		s.first = time.Now()
	}
	s.times = append(s.times, time.Since(s.first))
	a := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	s.mu.Unlock()
	if r.Body != nil {
		if !s.never {
			text, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			s.mu.Lock()
			s.bodies = append(s.bodies, string(text))
			s.mu.Unlock()
		}
		_ = r.Body.Close()
	}
	time.Sleep(a.takes)
	if a.status == 0 {
		return nil, errors.New("the connection was reset")
	}
	h := a.header
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: a.status, Header: h, Body: io.NopCloser(strings.NewReader(a.body)), Request: r}, nil
}

func denial(lines ...string) answer {
	return answer{status: 429, header: headers(lines...), body: "denied\n"}
}

var ok = answer{status: 200, body: "hello\n"}

// do sends a request, and returns the status and the body of the response.
func do(t *testing.T, tr http.RoundTripper, r *http.Request) (int, string) {
	t.Helper()
	response, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// errorOf sends a request and returns its error. It fails the test if there is a
// response, too.
func errorOf(t *testing.T, tr http.RoundTripper, r *http.Request) error {
	t.Helper()
	response, err := tr.RoundTrip(r)
	if response != nil {
		_ = response.Body.Close()
		if err != nil {
			t.Errorf("a response and the error %v", err)
		}
	}
	return err
}

// near reports whether got is want plus the jitter, a tenth at most.
func near(got, want time.Duration) bool { return got >= want && got <= want+want/10+time.Millisecond }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A trackedBody records whether it was read and closed.
type trackedBody struct {
	io.Reader
	read   atomic.Bool
	closed atomic.Int32
}

func (b *trackedBody) Read(p []byte) (int, error) {
	b.read.Store(true)
	return b.Reader.Read(p)
}

func (b *trackedBody) Close() error {
	b.closed.Add(1)
	return nil
}

// A network runs a handler without a connection, on the clock of the test.
// Each way takes from least to most.
type network struct {
	handler     http.Handler
	least, most time.Duration
}

func (n network) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	n.travel()
	w := httptest.NewRecorder()
	n.handler.ServeHTTP(w, r)
	n.travel()
	response := w.Result()
	response.Request = r
	return response, nil
}

func (n network) travel() {
	if n.most > 0 {
		time.Sleep(n.least + rand.N(n.most-n.least+1))
	}
}

// keyrateServer returns a handler behind keyrate's middleware.
func keyrateServer(t testing.TB, limits ratelimit.Limits, c middleware.Config) http.Handler {
	t.Helper()
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits, ratelimit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return middleware.Must(middleware.RateLimit(limiter, c))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("hello\n"))
	}))
}
