package middleware_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// pricedBy returns a handler whose price depends on the response, and the last status that
// SettleBy was called with.
func pricedBy(t testing.TB, next http.HandlerFunc) (http.Handler, *atomic.Int64) {
	var status atomic.Int64
	return middleware.Must(middleware.RateLimit(newLimiter(t, plenty, ratelimit.Config{}), middleware.Config{
		Reserve: estimate(1),
		SettleBy: func(code int, _ http.Header) int {
			status.Store(int64(code))
			return 1
		},
	}))(next), &status
}

// methodsOf names the optional methods that a handler looks for.
func methodsOf(w http.ResponseWriter) string {
	var all []string
	has := func(name string, ok bool) {
		if ok {
			all = append(all, name)
		}
	}
	_, flush := w.(http.Flusher)
	_, flushError := w.(interface{ FlushError() error })
	_, hijack := w.(http.Hijacker)
	_, push := w.(http.Pusher)
	_, text := w.(io.StringWriter)
	has("Flush", flush)
	has("FlushError", flushError)
	has("Hijack", hijack)
	has("Push", push)
	has("WriteString", text)
	return strings.Join(all, " ")
}

// TestServerMethodsAreTheSame: a handler finds the methods that it finds without the limit.
func TestServerMethodsAreTheSame(t *testing.T) {
	show := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, methodsOf(w)) })
	priced, _ := pricedBy(t, show)
	mux := http.NewServeMux()
	mux.Handle("/priced", priced)
	mux.Handle("/", show)
	protocols(t, mux, func(t *testing.T, s *httptest.Server) {
		var found [2]string
		for i, path := range []string{"/", "/priced"} {
			response, err := s.Client().Get(s.URL + path) //nolint:noctx // short
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			found[i] = string(body)
		}
		if found[0] != found[1] || !strings.Contains(found[0], "FlushError") {
			t.Errorf("a handler has %q, and %q behind the limit", found[0], found[1])
		}
	})
}

type (
	canFlush struct{}
	canPush  struct{}
)

func (canFlush) Flush() {}

func (canPush) Push(string, *http.PushOptions) error { return errors.New("pushed") }

type canHijack struct{}

func (canHijack) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, nil }

// A hidden is a ResponseWriter of a middleware in between.
type hidden struct{ w http.ResponseWriter }

func (h hidden) Header() http.Header         { return h.w.Header() }
func (h hidden) Write(p []byte) (int, error) { return h.w.Write(p) }
func (h hidden) WriteHeader(status int)      { h.w.WriteHeader(status) }
func (h hidden) Unwrap() http.ResponseWriter { return h.w }

// TestMethodsOfAnyWriter: each combination of optional methods stays what it is.
func TestMethodsOfAnyWriter(t *testing.T) {
	type w = http.ResponseWriter
	all := &struct {
		w
		canFlush
		canHijack
		canPush
	}{w: httptest.NewRecorder()}
	for want, inner := range map[string]http.ResponseWriter{
		"WriteString": &sink{header: http.Header{}},
		"Flush FlushError WriteString": &struct {
			w
			canFlush
		}{w: httptest.NewRecorder()},
		"Hijack WriteString": &struct {
			w
			canHijack
		}{w: httptest.NewRecorder()},
		"Push WriteString": &struct {
			w
			canPush
		}{w: httptest.NewRecorder()},
		"Flush FlushError Hijack WriteString": &struct {
			w
			canFlush
			canHijack
		}{w: httptest.NewRecorder()},
		"Flush FlushError Push WriteString": &struct {
			w
			canFlush
			canPush
		}{w: httptest.NewRecorder()},
		"Hijack Push WriteString": &struct {
			w
			canHijack
			canPush
		}{w: httptest.NewRecorder()},
		"Flush FlushError Hijack Push WriteString": all,
	} {
		var got string
		h, _ := pricedBy(t, func(w http.ResponseWriter, _ *http.Request) {
			got = methodsOf(w)
			if p, ok := w.(http.Pusher); ok && p.Push("/", nil).Error() != "pushed" {
				t.Error("Push does not push")
			}
		})
		h.ServeHTTP(inner, call{}.request())
		if got != want {
			t.Errorf("methods %q, want %q", got, want)
		}
	}
}

// TestHiddenMethods: http.ResponseController finds what only Unwrap shows, and does not bypass
// SettleBy.
func TestHiddenMethods(t *testing.T) {
	type w = http.ResponseWriter
	inner := &struct {
		w
		canFlush
		canHijack
	}{w: httptest.NewRecorder()}
	for want, use := range map[int64]func(*http.ResponseController) error{
		200: func(c *http.ResponseController) error { return c.Flush() },
		101: func(c *http.ResponseController) error { _, _, err := c.Hijack(); return err },
	} {
		var h http.Handler
		var status *atomic.Int64
		h, status = pricedBy(t, func(w http.ResponseWriter, _ *http.Request) {
			if err := use(http.NewResponseController(w)); err != nil || status.Load() != want {
				t.Errorf("error %v, and SettleBy was called with %d, want %d", err, status.Load(), want)
			}
		})
		h.ServeHTTP(hidden{hidden{inner}}, call{}.request())
	}
}

// TestServerFlushes: what is flushed arrives while the handler runs, whichever way it is.
func TestServerFlushes(t *testing.T) {
	proceed := make(chan bool)
	h, status := pricedBy(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		for i := range 2 {
			fmt.Fprintln(w, i)
			if i == 0 {
				w.(http.Flusher).Flush() //nolint:errcheck,forcetypeassert // a panic fails the test
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
		lines := bufio.NewScanner(response.Body)
		for i := range 2 {
			if !lines.Scan() || lines.Text() != fmt.Sprint(i) {
				t.Fatalf("line %d: %q", i, lines.Text())
			}
			proceed <- true
		}
		if response.StatusCode != http.StatusAccepted || status.Load() != http.StatusAccepted {
			t.Errorf("status %d, and SettleBy was called with %d", response.StatusCode, status.Load())
		}
	})
}

// TestServerHijackIsPriced: a handler can take the connection over, with the status 101. Over
// HTTP/2 it cannot, as without the limit.
func TestServerHijackIsPriced(t *testing.T) {
	h, status := pricedBy(t, func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if r.ProtoMajor == 2 {
			if !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("Hijack over HTTP/2: %v", err)
			}
			w.WriteHeader(http.StatusNotImplemented)
			return
		}
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nraw")
		rw.Flush()
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		response, err := s.Client().Get(s.URL) //nolint:noctx // short
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		want := map[int]int64{1: http.StatusSwitchingProtocols, 2: http.StatusNotImplemented}[response.ProtoMajor]
		if response.ProtoMajor == 1 && string(body) != "raw" || status.Load() != want {
			t.Errorf("body %q, and SettleBy was called with %d, want %d", body, status.Load(), want)
		}
	})
}

// TestServerPush: a handler can push over HTTP/2, to clients that take it.
func TestServerPush(t *testing.T) {
	h, _ := pricedBy(t, func(w http.ResponseWriter, r *http.Request) {
		p, ok := w.(http.Pusher)
		if ok != (r.ProtoMajor == 2) {
			t.Errorf("a Pusher over %s: %v", r.Proto, ok)
		}
		if ok {
			if err := p.Push("/style.css", nil); !errors.Is(err, http.ErrNotSupported) { // Go's client disables it
				t.Errorf("Push: %v", err)
			}
		}
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) { get(t, s, http.MethodGet, "k", http.StatusOK) })
}

// A fileTaker is a ResponseWriter that notes what it is to read from.
type fileTaker struct {
	sink

	from io.Reader
}

func (f *fileTaker) ReadFrom(src io.Reader) (int64, error) {
	f.from = src
	return io.Copy(io.Discard, src)
}

// TestFilesAreSentByTheServer: io.Copy gives the server the file itself, which it can send
// without copying it.
func TestFilesAreSentByTheServer(t *testing.T) {
	name := filepath.Join(t.TempDir(), "file")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	send := func(w http.ResponseWriter, _ *http.Request) {
		file, err := os.Open(name)
		if err != nil {
			t.Error(err)
			return
		}
		defer file.Close()
		if n, err := io.Copy(w, file); n != int64(len(content)) || err != nil {
			t.Errorf("%d bytes are copied, %v", n, err)
		}
	}
	h, status := pricedBy(t, send)
	plain, behind := &fileTaker{sink: sink{header: http.Header{}}}, &fileTaker{sink: sink{header: http.Header{}}}
	send(plain, nil)
	h.ServeHTTP(behind, call{}.request())
	if got, want := fmt.Sprintf("%T", behind.from), fmt.Sprintf("%T", plain.from); got != want || plain.from == nil {
		t.Errorf("the server reads from a %s, and from a %s without the limit", got, want)
	}
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		status.Store(0)
		if _, _, body := get(t, s, http.MethodGet, "k", http.StatusOK); body != string(content) || status.Load() != http.StatusOK {
			t.Errorf("%d bytes, and SettleBy was called with %d", len(body), status.Load())
		}
	})
}

// TestServerDeadlines: the deadlines of a request can be set.
func TestServerDeadlines(t *testing.T) {
	h, _ := pricedBy(t, func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		if err := errors.Join(c.SetWriteDeadline(time.Now().Add(time.Hour)), c.SetReadDeadline(time.Now().Add(-time.Second))); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("reading after the deadline: %v", err)
		}
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		body, writer := io.Pipe()
		defer writer.Close()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, body)
		response, err := s.Client().Do(r)
		if err == nil {
			response.Body.Close()
		}
	})
}

// TestServerFullDuplex: a handler can respond while it reads.
func TestServerFullDuplex(t *testing.T) {
	h, _ := pricedBy(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		_, _ = w.Write([]byte("first "))
		_ = http.NewResponseController(w).Flush()
		_, _ = io.Copy(w, r.Body)
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		body, writer := io.Pipe()
		r, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, body)
		response, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if _, err := io.ReadFull(response.Body, make([]byte, len("first "))); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(writer, "second")
		writer.Close()
		if rest, err := io.ReadAll(response.Body); string(rest) != "second" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

// TestServerHintsAndTrailers: informational responses and trailers pass, and the status that
// counts is the last.
func TestServerHintsAndTrailers(t *testing.T) {
	h, status := pricedBy(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "4")
	})
	protocols(t, h, func(t *testing.T, s *httptest.Server) {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(int, textproto.MIMEHeader) error { hints++; return nil },
		})
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
		response, err := s.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if hints != 1 || string(body) != "body" || response.Trailer.Get("X-Sum") != "4" || status.Load() != http.StatusCreated {
			t.Errorf("%d hints, %q, trailer %v, and SettleBy was called with %d", hints, body, response.Trailer, status.Load())
		}
	})
}
