package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/transport"
)

// newServer starts a server, and returns a client with a Transport of its own.
func newServer(t *testing.T, handler http.HandlerFunc) (*httptest.Server, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	base := &http.Transport{ExpectContinueTimeout: time.Second}
	t.Cleanup(base.CloseIdleConnections)
	return server, &http.Client{Transport: mustNew(t, base, transport.Config{})}
}

// A reply is a response whose body was read.
type reply struct {
	status  int
	text    string
	trailer http.Header
}

// post sends a body.
func post(t *testing.T, client *http.Client, url string, body io.Reader, change func(*http.Request)) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, string(text), response.Trailer}
}

// TestEndlessDenial checks that a denial with an endless body is abandoned, and the
// request is sent again.
func TestEndlessDenial(t *testing.T) {
	var calls atomic.Int32
	gone := make(chan struct{})
	server, client := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) > 1 {
			return
		}
		defer close(gone)
		w.Header().Set("Retry-After-Ms", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		for {
			if _, err := w.Write(make([]byte, 1<<10)); err != nil {
				return
			}
		}
	})
	if got := post(t, client, server.URL, nil, nil); got.status != http.StatusOK {
		t.Errorf("%+v", got)
	}
	<-gone // the write fails: the client reads no more
}

// TestExpectContinue checks that a body without GetBody is sent again, in full, if the
// server denied the request before it asked for the body.
func TestExpectContinue(t *testing.T) {
	var calls atomic.Int32
	server, client := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		_, _ = io.Copy(w, r.Body)
		_, _ = fmt.Fprint(w, r.ContentLength, r.Trailer.Get("Sum"))
	})
	body := &trackedBody{Reader: strings.NewReader("hello")}
	got := post(t, client, server.URL, body, func(r *http.Request) {
		r.Header.Set("Expect", "100-continue")
		r.ContentLength = 5
	})
	if got.status != http.StatusOK || got.text != "hello5" || calls.Load() != 2 || body.closed.Load() == 0 {
		t.Errorf("%+v after %d calls", got, calls.Load())
	}
}

// TestTrailer checks that trailers and unknown lengths pass in both directions, also if
// the request is sent again.
func TestTrailer(t *testing.T) {
	var calls atomic.Int32
	server, client := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if calls.Add(1) == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Trailer", "Answer")
		_, _ = fmt.Fprintf(w, "%s %d %s", text, r.ContentLength, r.Trailer.Get("Sum"))
		w.Header().Set("Answer", "42")
	})
	got := post(t, client, server.URL, io.NopCloser(strings.NewReader("hello")), func(r *http.Request) {
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello")), nil }
		r.Trailer = http.Header{"Sum": {"5"}}
	})
	if got.text != "hello -1 5" || got.trailer.Get("Answer") != "42" || calls.Load() != 2 {
		t.Errorf("%+v after %d calls", got, calls.Load())
	}
}

// TestEarlyHints checks that 1xx responses reach the caller's trace, and are no answer.
func TestEarlyHints(t *testing.T) {
	server, client := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Retry-After")
	})
	hints := 0
	for range 2 {
		got := post(t, client, server.URL, nil, func(r *http.Request) {
			*r = *r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
				Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
			}))
		})
		if got.status != http.StatusOK {
			t.Errorf("%+v", got)
		}
	}
	if hints != 2 {
		t.Errorf("%d hints, want 2", hints)
	}
}

// TestUpgrade checks that an upgraded connection belongs to the caller.
func TestUpgrade(t *testing.T) {
	server, client := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nRetry-After: 3600\r\n\r\n")
		line, _ := bufio.NewReader(conn).ReadString('\n')
		_, _ = io.WriteString(conn, line)
	})
	r := request(t, server.URL)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "echo")
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	conn, is := response.Body.(io.ReadWriteCloser)
	if !is {
		t.Fatalf("%s with a %T", response.Status, response.Body)
	}
	_, _ = io.WriteString(conn, "hello\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// TestReset checks that a reset connection, before or within the response, is an error
// at once and the next call is served.
func TestReset(t *testing.T) {
	var calls atomic.Int32
	server, client := newServer(t, func(w http.ResponseWriter, _ *http.Request) {
		n := calls.Add(1)
		if n > 2 {
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		if n == 2 {
			_, _ = io.WriteString(conn, "HTTP/1.1 429 Too Many Requests\r\nRetry-After-Ms: 1\r\nContent-Length: 100\r\n\r\nno")
		} else if tcp, is := conn.(*net.TCPConn); is {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	})
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if response, err := client.Do(r); err == nil {
		_ = response.Body.Close()
		t.Error("want the error of the reset")
	}
	// The second one is denied with half a body, and is sent again all the same.
	if got := post(t, client, server.URL, nil, nil); got.status != http.StatusOK || calls.Load() != 3 {
		t.Errorf("%+v after %d calls", got, calls.Load())
	}
}

// TestRedirect checks that each host in a chain of redirects has its own pace, and that
// a denial of one does not delay the other.
func TestRedirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		used := false
		client := &http.Client{Transport: mustNew(t, network{handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Host == "a.example.com" && r.URL.Path == "/":
				http.Redirect(w, r, "https://b.example.com/", http.StatusTemporaryRedirect)
			case r.URL.Host == "b.example.com" && !used:
				used = true
				w.Header().Set("Retry-After", "30")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		})}, transport.Config{})}
		var wg sync.WaitGroup
		began := time.Now()
		wg.Go(func() {
			response, err := client.Do(request(t, "https://a.example.com/"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK || time.Since(began) < 30*time.Second {
				t.Errorf("%s after %v", response.Status, time.Since(began))
			}
		})
		time.Sleep(time.Second)
		response, err := client.Do(request(t, "https://a.example.com/direct"))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the other host was held up for %v", took)
		}
		wg.Wait()
	})
}

// TestRealClient checks that one connection to a real server serves all calls, denials
// included.
func TestRealClient(t *testing.T) {
	var calls, connections atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		if calls.Add(1)%2 == 1 {
			w.Header().Set("Retry-After-Ms", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			_, _ = io.WriteString(w, strings.Repeat("no ", 1000))
			return
		}
		_, _ = io.WriteString(w, strconv.Quote(string(text)))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	client := &http.Client{Transport: mustNew(t, nil, transport.Config{})}
	defer client.CloseIdleConnections()
	for range 3 {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK || string(text) != `"hello"` {
			t.Errorf("%d %q %v", response.StatusCode, text, err)
		}
		_ = response.Body.Close()
	}
	if calls.Load() != 6 || connections.Load() != 1 {
		t.Errorf("%d calls over %d connections, want 6 over 1", calls.Load(), connections.Load())
	}
}
