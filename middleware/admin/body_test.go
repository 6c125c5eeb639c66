package admin_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/middleware/admin"
)

// TestLargeBodies are not read any further than they may be large.
func TestLargeBodies(t *testing.T) {
	d := newDesk(t)
	match := "If-Match: " + d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
	for _, test := range []struct {
		method, path string
		most         int64
	}{
		{"POST", "/key/state", admin.MaxKeyBody}, {"POST", "/key/reset", admin.MaxKeyBody}, {"PUT", "/table", admin.MaxTableBody},
	} {
		// Of a stated length, and of none. A table is cut off earlier here than it would be.
		wantProblem(t, d.askSized(t, test.method, test.path, strings.NewReader("{}"), test.most+1, match), 413, "at most 64 KiB")
		if test.path == "/table" {
			test.most = 1 << 20
			admin.WithMaxTable(d.Handler, test.most)
		}
		read := int64(0)
		endless := readerFunc(func(b []byte) (int, error) {
			for i := range b {
				b[i] = 'x'
			}
			if read == 0 {
				b[0] = '"'
			}
			read += int64(len(b))
			return len(b), nil
		})
		wantProblem(t, d.askSized(t, test.method, test.path, endless, -1, match), 413, "at most 64 KiB")
		if read > test.most*2+1<<20 {
			t.Errorf("%s %s has read %d bytes", test.method, test.path, read)
		}
	}
}

// TestLargestBody: a body as large as may be is read, stated length or not.
func TestLargestBody(t *testing.T) {
	d := newDesk(t)
	match := "If-Match: " + d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
	admin.WithMaxTable(d.Handler, 1<<16)
	for _, test := range []struct {
		method, path, body string
		most               int
		status             int
	}{
		{"POST", "/key/state", `{"key":"k"}`, admin.MaxKeyBody, 200}, {"POST", "/key/reset", `{"key":"k"}`, admin.MaxKeyBody, 204}, {"PUT", "/table", `{"default":"1/s","plans":{"PAD":"1/s"}}`, 1 << 16, 204},
	} {
		for _, more := range []int{1, 0} {
			pad := test.most + more - len(test.body)
			body := strings.Replace(test.body, "PAD", strings.Repeat("p", pad+3), 1)
			if len(body) == len(test.body) {
				body += strings.Repeat(" ", pad)
			}
			for _, size := range []int64{int64(len(body)), -1} {
				want := test.status
				if more > 0 {
					want = 413
				}
				if w := d.askSized(t, test.method, test.path, strings.NewReader(body), size, match); w.Code != want {
					t.Errorf("%s %s of %d bytes, stated %d: %d: %s", test.method, test.path, len(body), size, w.Code, w.Body)
				}
				if test.method == "PUT" {
					match = "If-Match: " + d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
				}
			}
		}
	}
}

func (d *desk) askSized(t *testing.T, method, path string, body io.Reader, size int64, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	sized := &desk{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ContentLength = size
		d.ServeHTTP(w, r)
	})}
	return sized.askReader(t, method, path, body, headers...)
}

// TestBrokenBodies: a body that stops gets another detail than one that is wrong.
func TestBrokenBodies(t *testing.T) {
	d := newDesk(t)
	match := "If-Match: " + d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
	for cause, status := range map[error]int{os.ErrDeadlineExceeded: 408, errors.New("canary"): 400} {
		for _, op := range []string{"POST /key/state", "POST /key/reset", "PUT /table"} {
			method, path, _ := strings.Cut(op, " ")
			body := io.MultiReader(strings.NewReader(`{"default"`), readerFunc(func([]byte) (int, error) { return 0, cause }))
			w := d.askReader(t, method, path, body, match)
			wantProblem(t, w, status, "The body did not come")
			if strings.Contains(w.Body.String(), "canary") {
				t.Errorf("%s", w.Body)
			}
		}
	}
}

// TestSlowBody: a server without deadlines does not wait for ever, and a connection on
// which a body came in time goes on.
func TestSlowBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		var client, server net.Conn
		conns := make(chan net.Conn, 1)
		s := &http.Server{Handler: d, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)} //nolint:gosec // the point of it
		served := make(chan error)
		go func() { served <- s.Serve(pipes{conns}) }()
		send := func(credential, body string) {
			if _, err := fmt.Fprintf(client, "POST /key/state HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n%s", credential, body); err != nil {
				t.Error(err)
			}
		}
		want := func(credential, body, status string, after time.Duration) {
			t.Helper()
			client, server = net.Pipe()
			conns <- server
			answer := make([]byte, 4096)
			for range 2 {
				send(secret, `{"key":"k"}`)
				if n, err := client.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") {
					t.Fatalf("%s, %v", answer[:n], err)
				}
				time.Sleep(30 * time.Second)
			}
			start := time.Now()
			send(credential, body)
			if n, err := client.Read(answer); err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 "+status) || time.Since(start) != after {
				t.Errorf("%s: after %v: %s, %v", credential, time.Since(start), answer[:n], err)
			}
			_ = client.Close()
		}
		want(secret, `{"key"`, "408", 10*time.Second)
		want("a stranger's", `{"key"`, "403", 10*time.Second) // net/http reads on before it answers
		close(conns)
		if err := <-served; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		_ = s.Close()
	})
}

// TestSlowTableAndWriteTimeout: a table that takes longer to come, or to be taken, than
// the server's WriteTimeout is answered all the same, and the connection stays usable.
func TestSlowTableAndWriteTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		etag := d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
		conns := make(chan net.Conn, 1)
		s := &http.Server{Handler: d, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
		served := make(chan error)
		go func() { served <- s.Serve(pipes{conns}) }()
		client, server := net.Pipe()
		conns <- server
		defer func() {
			_ = client.Close()
			close(conns)
			if err := <-served; !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
			_ = s.Close()
		}()
		in := bufio.NewReader(client)
		ask := func(head, first, second string, wait time.Duration, status int) {
			t.Helper()
			if _, err := fmt.Fprintf(client, "%s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\nIf-Match: %s\r\nContent-Length: %d\r\n\r\n%s", head, secret, etag, len(first+second), first); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			if _, err := io.WriteString(client, second); err != nil {
				t.Fatal(err)
			}
			time.Sleep(wait)
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatalf("%s: %v", head, err)
			}
			defer response.Body.Close()
			if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != status {
				t.Errorf("%s: %d, %v", head, response.StatusCode, err)
			}
		}
		ask("GET /table", "", "", time.Minute, 200)
		ask("GET /shadow", "", "", 0, 200)
		ask("PUT /table", `{"default":`, `"1/s"}`, time.Minute, 204)
		ask("GET /shadow", "", "", 0, 200)
	})
}

// pipes is a listener.
type pipes struct{ conns chan net.Conn }

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (p pipes) Close() error { return nil }

func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }
