package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestDisconnectLowersNoPrice: a client that has gone pays at least its estimate of 40 if there was
// no response yet, and the price of the status that was sent, 2, if there was.
func TestDisconnectLowersNoPrice(t *testing.T) {
	send := func(status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
	}
	panics := func(v any) func(http.ResponseWriter, *http.Request) {
		return func(http.ResponseWriter, *http.Request) { panic(v) }
	}
	read := func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) }
	// In a handler, what the client or the server does meanwhile.
	disconnects := func(_ http.ResponseWriter, r *http.Request) { end(r, context.Canceled) }
	deadline := func(_ http.ResponseWriter, r *http.Request) { end(r, context.DeadlineExceeded) }

	type steps []func(http.ResponseWriter, *http.Request)
	for _, c := range []struct {
		name  string
		steps steps
		body  io.Reader
		price int
	}{
		{name: "502", steps: steps{disconnects, send(502)}, price: 40},
		{name: "499", steps: steps{disconnects, send(499)}, price: 40},
		{name: "200", steps: steps{disconnects, send(200)}, price: 40},
		{name: "nothing", steps: steps{disconnects}, price: 40},
		{name: "a panic", steps: steps{disconnects, panics("boom")}, price: 40},
		{name: "an abort", steps: steps{disconnects, panics(http.ErrAbortHandler)}, price: 40},
		{name: "a dear response", steps: steps{disconnects, send(http.StatusTeapot)}, price: 50},
		{name: "settled and 502", steps: steps{disconnects, func(_ http.ResponseWriter, r *http.Request) { settling(t, 7, true)(r) }, send(502)}, price: 7},
		{name: "a deadline", steps: steps{deadline, send(504)}, price: 0},
		{name: "a deadline and a panic", steps: steps{deadline, panics("boom")}, price: 0},

		{name: "200, then a panic", steps: steps{send(200), disconnects, panics("boom")}, price: 2},
		{name: "200, then an abort", steps: steps{send(200), disconnects, panics(http.ErrAbortHandler)}, price: 2},
		{name: "200, then an abort alone", steps: steps{send(200), panics(http.ErrAbortHandler)}, price: 2},
		{name: "200, then a deadline and a panic", steps: steps{send(200), deadline, panics("boom")}, price: 2},
		{name: "200, then an exit", steps: steps{send(200), disconnects, func(http.ResponseWriter, *http.Request) { runtime.Goexit() }}, price: 2},
		{name: "503, then a panic", steps: steps{send(503), disconnects, panics("boom")}, price: 0},
		{name: "200, then a panic, and the client is there", steps: steps{send(200), panics([]int{1})}, price: 0},

		{name: "a broken body and 502", steps: steps{read, send(502)}, body: iotest.ErrReader(io.ErrUnexpectedEOF), price: 40},
		{name: "a broken body and a panic", steps: steps{read, panics("boom")}, body: iotest.ErrReader(io.ErrUnexpectedEOF), price: 40},
		{name: "200, a broken body and a panic", steps: steps{send(200), read, panics("boom")}, body: iotest.ErrReader(io.ErrUnexpectedEOF), price: 2},
		{name: "a body and 502", steps: steps{read, send(502)}, body: strings.NewReader("x"), price: 0},
		{name: "a closed body and 502", steps: steps{read, send(502)}, body: iotest.ErrReader(http.ErrBodyReadAfterClose), price: 0},
	} {
		l := newLimiter(t, ratelimit.PerDay(100), ratelimit.Config{})
		h := middleware.Must(middleware.RateLimit(l, middleware.Config{Reserve: estimate(40), SettleBy: func(status int, _ http.Header) int {
			if status == http.StatusTeapot {
				return 50
			}
			return refunding(2)(status, nil)
		}}))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for _, step := range c.steps {
				step(w, r)
			}
		}))
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() { _ = recover() }()
			r := call{ctx: &ending{Context: t.Context()}}.request()
			if c.body != nil {
				r.Body = io.NopCloser(c.body)
			}
			h.ServeHTTP(httptest.NewRecorder(), r)
		})
		wg.Wait()
		if got := 100 - remains(t, l, anyAddress); got != c.price {
			t.Errorf("%s: the price is %d, want %d", c.name, got, c.price)
		}
		wantHeld(t, l, anyAddress, 0)
	}
}

// An ending is the context of a request whose end a test chooses.
type ending struct {
	context.Context

	err error
}

type endingKey struct{}

func (e *ending) Err() error { return e.err }

func (e *ending) Value(key any) any {
	if key == (endingKey{}) {
		return e
	}
	return e.Context.Value(key)
}

func end(r *http.Request, err error) {
	if e, ok := r.Context().Value(endingKey{}).(*ending); ok {
		e.err = err
	}
}

// TestSettleByIsCalledOnce: for each outcome of a request, once.
func TestSettleByIsCalledOnce(t *testing.T) {
	settle := func(r *http.Request) { settling(t, 1, true)(r) }
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  []int
	}{
		{"200", answering(http.StatusOK, http.StatusOK), []int{200}},
		{"nothing", func(http.ResponseWriter, *http.Request) {}, []int{200}},
		{"panic", func(http.ResponseWriter, *http.Request) { panic("boom") }, []int{500}},
		{"settled, and a panic", func(_ http.ResponseWriter, r *http.Request) { settle(r); panic("boom") }, []int{500}},
		{"500 and a panic", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			panic("boom")
		}, []int{500}},
		{"settled, 500 and a panic", func(w http.ResponseWriter, r *http.Request) {
			settle(r)
			w.WriteHeader(http.StatusInternalServerError)
			panic("boom")
		}, []int{500}},
		{"200 and a panic", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK); panic("boom") }, []int{200, 500}},
		{"200 and an abort", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusOK)
			panic(http.ErrAbortHandler)
		}, []int{200}},
	} {
		var got []int
		h := middleware.Must(middleware.RateLimit(newLimiter(t, plenty, ratelimit.Config{}), middleware.Config{
			Reserve:  estimate(1),
			SettleBy: func(status int, _ http.Header) int { got = append(got, status); return 1 },
		}))(c.serve)
		call{}.served(h)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: SettleBy is called with %v, want %v", c.name, got, c.want)
		}
	}
}

// TestStackOfAPanic: what net/http logs shows where the handler has panicked.
func TestStackOfAPanic(t *testing.T) {
	h, _ := pricedBy(t, func(http.ResponseWriter, *http.Request) { whereItPanics() })
	defer func() {
		stack := make([]byte, 1<<16)
		stack = stack[:runtime.Stack(stack, false)]
		if v := recover(); v != "boom" || !strings.Contains(string(stack), "whereItPanics") {
			t.Errorf("recovered %v; the stack is\n%s", v, stack)
		}
	}()
	call{}.to(h)
}

//go:noinline
func whereItPanics() { panic("boom") }

// proxied returns a ReverseProxy to upstream behind a limit of 10 a day that refunds errors.
func proxied(t *testing.T, upstream http.HandlerFunc) (http.Handler, *ratelimit.Limiter) {
	to := httptest.NewServer(upstream)
	t.Cleanup(to.Close)
	target, err := url.Parse(to.URL)
	if err != nil {
		t.Fatal(err)
	}
	l := newLimiter(t, ratelimit.PerDay(10), ratelimit.Config{})
	limit := middleware.Must(middleware.RateLimit(l, middleware.Config{Key: middleware.Header("X-API-Key"), Cost: estimate(1), SettleBy: refunding(1)}))
	return limit(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}), l
}

// spent waits until nothing is held, and returns how many of 10 tokens a key has spent.
func spent(t *testing.T, l *ratelimit.Limiter, key string) int {
	t.Helper()
	for range 5000 {
		r, err := l.Peek(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if s := r.State(0); s.Held == 0 {
			return 10 - s.Remaining
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatal("it is held for ever")
	return 0
}

// TestDisconnectInAResponse: a client that disconnects when it has read what it wanted pays.
func TestDisconnectInAResponse(t *testing.T) {
	const answer = "the whole answer"
	h, l := proxied(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, answer)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		ctx, disconnect := context.WithCancel(t.Context())
		defer disconnect()
		response, err := s.Client().Do(keyed(ctx, t, s.URL, t.Name(), nil))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.ReadFull(response.Body, make([]byte, len(answer))); err != nil {
			t.Fatal(err)
		}
		disconnect()
		s.CloseClientConnections()
		if got := spent(t, l, t.Name()); got != 1 {
			t.Errorf("%d tokens are spent, want 1", got)
		}
	})
}

// TestDisconnectBeforeTheResponse: a client that disconnects while the upstream works pays.
func TestDisconnectBeforeTheResponse(t *testing.T) {
	works := make(chan struct{})
	h, l := proxied(t, func(_ http.ResponseWriter, r *http.Request) {
		works <- struct{}{}
		<-r.Context().Done()
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		ctx, disconnect := context.WithCancel(t.Context())
		defer disconnect()
		go func() {
			<-works
			disconnect()
		}()
		if response, err := s.Client().Do(keyed(ctx, t, s.URL, t.Name(), nil)); err == nil {
			response.Body.Close()
			t.Errorf("status %d", response.StatusCode)
		}
		if got := spent(t, l, t.Name()); got != 1 {
			t.Errorf("%d tokens are spent, want 1", got)
		}
	})
}

// TestBrokenUpload: a client whose body breaks off while the upstream works pays.
func TestBrokenUpload(t *testing.T) {
	works := make(chan struct{})
	h, l := proxied(t, func(_ http.ResponseWriter, r *http.Request) {
		works <- struct{}{}
		_, _ = io.ReadAll(r.Body)
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		body, writer := io.Pipe()
		go func() {
			_, _ = io.WriteString(writer, "a part")
			<-works
			writer.CloseWithError(errors.New("the client is broken"))
		}()
		if response, err := s.Client().Do(keyed(t.Context(), t, s.URL, t.Name(), body)); err == nil {
			response.Body.Close()
		}
		if got := spent(t, l, t.Name()); got != 1 {
			t.Errorf("%d tokens are spent, want 1", got)
		}
	})
}

// TestMalformedUpload: so does one that stays connected, and sends a chunk that is none.
func TestMalformedUpload(t *testing.T) {
	h, l := proxied(t, func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) })
	s := httptest.NewServer(h)
	defer s.Close()
	conn := dial(t, s)
	defer conn.Close()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nX-API-Key: k\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\nnone\r\n")
	if text, err := io.ReadAll(io.LimitReader(conn, int64(len("HTTP/1.1 502")))); err != nil || string(text) != "HTTP/1.1 502" {
		t.Errorf("%q, %v", text, err)
	}
	if got := spent(t, l, "k"); got != 1 {
		t.Errorf("%d tokens are spent, want 1", got)
	}
}

// TestUpstreamIsDown: an error that is not the client's is refunded.
func TestUpstreamIsDown(t *testing.T) {
	var calls atomic.Int64
	h, l := proxied(t, func(http.ResponseWriter, *http.Request) { calls.Add(1); panic(http.ErrAbortHandler) })
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		response, err := s.Client().Do(keyed(t.Context(), t, s.URL, t.Name(), strings.NewReader("body")))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := spent(t, l, t.Name()); got != 0 || response.StatusCode != http.StatusBadGateway || calls.Load() == 0 {
			t.Errorf("status %d, and %d tokens are spent", response.StatusCode, got)
		}
	})
}

// keyed returns a POST request of a key.
func keyed(ctx context.Context, t *testing.T, address, key string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	return r
}
