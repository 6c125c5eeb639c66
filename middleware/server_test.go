package middleware_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// protocols runs a test against a real server, over HTTP/1.1 and over HTTP/2.
func protocols(t *testing.T, h http.Handler, test func(*testing.T, *httptest.Server)) {
	for _, two := range []bool{false, true} {
		t.Run(map[bool]string{false: "HTTP/1.1", true: "HTTP/2"}[two], func(t *testing.T) {
			s := httptest.NewUnstartedServer(h)
			s.EnableHTTP2 = two
			s.Config.ErrorLog = nil
			s.StartTLS()
			defer s.Close()
			test(t, s)
		})
	}
}

func limited(t *testing.T, limit ratelimit.Limit, next http.HandlerFunc) http.Handler {
	return middleware.Must(middleware.RateLimit(newLimiter(t, limit, ratelimit.Config{}), byKey))(next)
}

// get makes a request, checks the status, and returns headers, length and body.
func get(t *testing.T, s *httptest.Server, method, key string, want int) (http.Header, int64, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	response, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != want {
		t.Errorf("%s with key %q: status %d, want %d", method, key, response.StatusCode, want)
	}
	return response.Header, response.ContentLength, string(body)
}

// TestServerHead: HEAD costs what GET costs, and gets its headers without a body.
func TestServerHead(t *testing.T) {
	protocols(t, limited(t, ratelimit.PerHour(1), hello), func(t *testing.T, s *httptest.Server) {
		key := t.Name()
		get(t, s, "HEAD", key, http.StatusOK)
		byGet, getLength, body := get(t, s, "GET", key, http.StatusTooManyRequests)
		byHead, headLength, none := get(t, s, "HEAD", key, http.StatusTooManyRequests)
		if none != "" || headLength != int64(len(body)) || getLength != int64(len(body)) {
			t.Errorf("HEAD: body %q, length %d; GET: length %d, really %d", none, headLength, getLength, len(body))
		}
		for name := range byGet {
			if byHead.Get(name) == "" {
				t.Errorf("HEAD lacks %s", name)
			}
		}
	})
}

// TestServerStream: events reach the client while the handler is still at work.
func TestServerStream(t *testing.T) {
	proceed := make(chan bool)
	h := limited(t, five, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if i == 0 {
				flusher, ok := w.(http.Flusher)
				if !ok {
					t.Error("no Flusher")
					return
				}
				flusher.Flush()
			} else if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			<-proceed
		}
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		response, err := s.Client().Get(s.URL) //nolint:noctx // the server is closed at the end
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.Header.Get(middleware.HeaderRemaining) == "" {
			t.Error("no headers on a stream")
		}
		lines := bufio.NewScanner(response.Body)
		for i := range 3 {
			if !lines.Scan() || lines.Text() != fmt.Sprintf("data: %d", i) {
				t.Fatalf("event %d: %q", i, lines.Text())
			}
			lines.Scan()
			proceed <- true
		}
	})
}

// TestServerHijack: a handler can take the connection over.
func TestServerHijack(t *testing.T) {
	s := httptest.NewServer(limited(t, five, func(w http.ResponseWriter, _ *http.Request) {
		hijacker, ok := w.(http.Hijacker)
		if !ok {
			t.Error("no Hijacker")
			return
		}
		conn, rw, err := hijacker.Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, line)
		rw.Flush()
	}))
	defer s.Close()
	conn := dial(t, s)
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello\n")
	got, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 101 ") || !strings.HasSuffix(string(got), "\r\n\r\nhello\n") {
		t.Errorf("got %q (error %v)", got, err)
	}
}

// TestServerEarlyHints: informational responses go through.
func TestServerEarlyHints(t *testing.T) {
	h := limited(t, five, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNoContent)
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		var codes []int
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
				codes = append(codes, code)
				return nil
			},
		})
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
		response, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if len(codes) != 1 || codes[0] != http.StatusEarlyHints || response.StatusCode != http.StatusNoContent {
			t.Errorf("informational %v, then %d", codes, response.StatusCode)
		}
		if response.Header.Get(middleware.HeaderRemaining) == "" {
			t.Error("no headers")
		}
	})
}

// TestServerBody: the body of the request is the handler's to read.
func TestServerBody(t *testing.T) {
	h := limited(t, five, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		response, err := s.Client().Post(s.URL, "text/plain", strings.NewReader("all of it")) //nolint:noctx // short
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, _ := io.ReadAll(response.Body); string(body) != "all of it" {
			t.Errorf("the handler read %q", body)
		}
	})
}

// TestServerRapidReset: an HTTP/2 client that cancels each request at once
// (CVE-2023-44487) pays for each, and is denied like any other. The store here
// heeds its context, so that it would not charge a call whose context has ended.
func TestServerRapidReset(t *testing.T) {
	limiter := limiterOn(t, &heedful{Store: memstore.New(memstore.Config{})}, ratelimit.PerHour(10), ratelimit.Config{})
	var mu sync.Mutex
	served, done := 0, make(chan bool, 100)
	h := middleware.Must(middleware.RateLimit(limiter, quiet(byKey)))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		served++
	}))
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Wait") != "" { // until the reset has arrived: the worst moment
			done <- true
			<-r.Context().Done()
		}
		h.ServeHTTP(w, r)
		done <- true
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	defer s.Close()
	for range 30 {
		ctx, cancel := context.WithCancel(t.Context())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
		r.Header.Set("X-API-Key", "attacker")
		r.Header.Set("X-Wait", "yes")
		sent := make(chan error)
		go func() {
			response, err := s.Client().Do(r)
			if err == nil {
				response.Body.Close()
			}
			sent <- err
		}()
		<-done // the request is at the server
		cancel()
		if err := <-sent; !errors.Is(err, context.Canceled) {
			t.Fatalf("the request was not cancelled: %v", err)
		}
		<-done // and was handled
	}
	mu.Lock()
	defer mu.Unlock()
	if served != 10 {
		t.Errorf("%d cancelled requests reached the handler, want 10", served)
	}
	if r, err := limiter.Peek(t.Context(), "attacker"); err != nil || r.Remaining() != 0 {
		t.Errorf("%d tokens are left, want 0 (error %v)", r.Remaining(), err)
	}
}

// A heedful store decides nothing for a caller that is gone.
type heedful struct{ store.Store }

func (s *heedful) Take(ctx context.Context, r store.Request) (store.Decision, error) {
	if err := ctx.Err(); err != nil {
		return store.Decision{}, err
	}
	return s.Store.Take(ctx, r)
}

// A selfTimed store gets the context of the call as it is, without a deadline.
type selfTimed struct{ store.Store }

func (selfTimed) SelfTimed() {}

// TestServerStalledReader: clients that ask and never read do not keep others from
// being served.
func TestServerStalledReader(t *testing.T) {
	s := httptest.NewServer(limited(t, ratelimit.PerHour(1), hello))
	defer s.Close()
	defer s.CloseClientConnections()
	for range 8 {
		conn := dial(t, s)
		go func() { // more than fits into all buffers, until the connection is closed
			for {
				if _, err := io.WriteString(conn, strings.Repeat("GET / HTTP/1.1\r\nHost: x\r\nX-API-Key: stalled\r\n\r\n", 1000)); err != nil {
					return
				}
			}
		}()
	}
	time.Sleep(100 * time.Millisecond) // let them stall
	get(t, s, "GET", "other", http.StatusOK)
	get(t, s, "GET", "other", http.StatusTooManyRequests)
	get(t, s, "GET", "stalled", http.StatusTooManyRequests)
}

// TestServerStalledBody: a client that announces a body and does not send it is
// denied at once, without reading the body.
func TestServerStalledBody(t *testing.T) {
	s := httptest.NewServer(limited(t, ratelimit.PerHour(1), hello))
	defer s.Close()
	defer s.CloseClientConnections()
	get(t, s, "GET", "k", http.StatusOK)
	for _, header := range []string{"Content-Length: 1000000", "Content-Length: 10\r\nExpect: 100-continue",
		"Content-Length: 10\r\nConnection: close", "Transfer-Encoding: chunked\r\nConnection: close"} {
		conn := dial(t, s)
		fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\n%s\r\n\r\n", header)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || line != "HTTP/1.1 429 Too Many Requests\r\n" {
			t.Errorf("%q: got %q (error %v)", header, line, err)
		}
	}
}

func dial(t *testing.T, s *httptest.Server) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// TestKeyOnTheWire: however a key's header is written, a real server hands it on as
// one key, or rejects it.
func TestKeyOnTheWire(t *testing.T) {
	served := make(chan bool, 100)
	s := httptest.NewServer(middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), middleware.Config{
		Key: middleware.Header("X-API-Key"), RequireKey: true,
	}))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served <- true })))
	defer s.Close()
	get(t, s, http.MethodGet, "alice", http.StatusOK)
	<-served
	for _, line := range []string{
		"x-api-key: alice", "X-API-KEY:alice", "X-Api-Key:\talice\t", "X-API-Key:\r\n alice", "X-API-Key : alice", " X-API-Key: alice", "X-API-Key\t: alice",
		"X-API-Key: alice\r\nx-api-key: ", "X-API-Key: alice\r\nX-api-KEY: bob", "X-API-Key:", "X-API-Key: \t ", "X_API_Key: alice",
		"X-API-Key: alice\x00", "X-API-Key: alice\r X: y", "X-API-Key: alice\v", "X-API-Key: alice\f",
	} {
		conn := dial(t, s)
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\nConnection: close\r\n\r\n", line)
		if status, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(status, "HTTP/1.1 4") || len(served) > 0 {
			t.Fatalf("%q: %q (error %v), %d served; want a rejection", line, status, err, len(served))
		}
	}
}
