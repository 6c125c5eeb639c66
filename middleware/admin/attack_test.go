package admin_test

import (
	"bufio"
	"bytes"
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
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestAuthorization comes first: whoever has none learns nothing and does nothing.
func TestAuthorization(t *testing.T) {
	d := newDesk(t)
	etag := d.ask(t, "HEAD", "/table", "").Header().Get("ETag")
	for range 5 {
		_, _ = d.limiter.Allow(t.Context(), "k")
	}
	read := readerFunc(func([]byte) (int, error) {
		t.Error("the body was read")
		return 0, io.EOF
	})
	for credential, status := range map[string]int{"": 401, "Bearer stranger": 403} {
		for _, path := range []string{"/key/state", "/key/reset", "/table", "/table/summary", "/shadow", "/openapi.json", "/", "/nothing"} {
			for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
				w := d.askReader(t, method, path, read, "Authorization: "+credential, "If-Match: "+etag)
				if method == "HEAD" {
					if w.Code != status {
						t.Errorf("HEAD %s: %d", path, w.Code)
					}
				} else {
					wantProblem(t, w, status, "not authorized")
				}
				if challenge := w.Header().Get("WWW-Authenticate"); (challenge == "Bearer") != (status == 401) {
					t.Errorf("%s %s: %d with WWW-Authenticate %q", method, path, status, challenge)
				}
				if w.Header().Get("ETag")+w.Header().Get("Allow") != "" || d.last().Status != status || d.last().Key != "" {
					t.Errorf("%s %s: %v, %+v", method, path, w.Header(), d.last())
				}
			}
		}
	}
	if r, _ := d.limiter.Peek(t.Context(), "k"); r.Remaining > 1 {
		t.Errorf("%d are left", r.Remaining)
	}
}

// TestAuthorizationPanics: a panic is a refusal, and its value is not logged.
func TestAuthorizationPanics(t *testing.T) {
	for _, value := range []any{"canary", errors.New("canary"), http.ErrAbortHandler} {
		var log bytes.Buffer
		h, err := admin.New(newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{}),
			func(*http.Request) bool { panic(value) }, admin.Config{Logger: slog.New(slog.NewJSONHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		wantProblem(t, (&desk{Handler: h}).ask(t, "POST", "/key/reset", `{"key":"k"}`), 403, "not authorized")
		if text := log.String(); !strings.Contains(text, "authorize panicked") || strings.Contains(text, "canary") {
			t.Errorf("the log is %s", text)
		}
	}
}

// TestCrossOrigin: web pages of other origins can do nothing, unless trusted.
func TestCrossOrigin(t *testing.T) {
	table := newTable(t, tableText)
	limiter := newLimiter(t, memstore.New(memstore.Config{}), table, ratelimit.Config{})
	d := newDeskOn(t, limiter, admin.Config{Table: table, TrustedOrigins: []string{"https://ops.example"}})
	for _, test := range []struct {
		headers string
		status  int
	}{
		{"Sec-Fetch-Site: cross-site", 403},
		{"Sec-Fetch-Site: same-site", 403},
		{"Sec-Fetch-Site: cross-site\nOrigin: https://evil.example", 403},
		{"Origin: https://evil.example", 403},
		{"Origin: null", 403},
		{"Sec-Fetch-Site: cross-site\nOrigin: https://ops.example.evil.example", 403},
		{"Sec-Fetch-Site: cross-site\nOrigin: https://ops.example", 204},
		{"Sec-Fetch-Site: same-origin", 204},
		{"Sec-Fetch-Site: none", 204},
		{"Origin: http://example.com", 204}, // the Host of these requests
		{"X-Other: x", 204},                 // no browser
	} {
		headers := strings.Split(test.headers, "\n")
		if w := d.ask(t, "POST", "/key/reset", `{"key":"k"}`, headers...); w.Code != test.status {
			t.Errorf("POST with %q: %d: %s", headers, w.Code, w.Body)
		}
		put := map[int]int{403: 403, 204: 428}[test.status]
		if w := d.ask(t, "PUT", "/table", tableText, headers...); w.Code != put {
			t.Errorf("PUT with %q: %d: %s", headers, w.Code, w.Body)
		}
		// Reading is safe: the page does not get to see the answer.
		if w := d.ask(t, "GET", "/table", "", headers...); w.Code != 200 || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("GET with %q: %d: %s", headers, w.Code, w.Body)
		}
	}
	wantProblem(t, d.ask(t, "POST", "/key/reset", `{"key":"k"}`, "Sec-Fetch-Site: cross-site"), 403, "another origin")
	if e := d.last(); e != (admin.Event{Action: admin.ActionReset, Status: 403}) {
		t.Errorf("%+v", e)
	}
	// What a form of a web page can send without being asked is no JSON.
	for _, form := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json, text/plain", "application/json; charset=latin1"} {
		wantProblem(t, d.ask(t, "POST", "/key/reset", `{"key":"k"}`, "Content-Type: "+form), 415, "application/json")
	}
	if w := d.ask(t, "POST", "/key/reset", `{"key":"k"}`, "Content-Type: Application/JSON; charset=UTF-8"); w.Code != 204 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// TestKeyBodies: what is not a key is refused with what would be right.
func TestKeyBodies(t *testing.T) {
	d := newDesk(t)
	const form = `The body must be a JSON object with one text`
	for body, want := range map[string]string{
		``:                               form,
		`null`:                           form,
		`"canary"`:                       form,
		`["canary"]`:                     form,
		`{}`:                             form,
		`{"key":"canary"`:                form,
		`{"key":"canary",}`:              form,
		`{"key":"canary"}{}`:             form,
		`{"key":"canary"} canary`:        form,
		`{"key":7}`:                      form,
		`{"key":null}`:                   form,
		`{"key":["canary"]}`:             form,
		`{"Key":"canary"}`:               form,
		`{"canary":"canary"}`:            form,
		`{"key":"a","key":"canary"}`:     form,
		`{"key":"a","address":"::1"}`:    form,
		`{"key":"canary","x":1}`:         form,
		`{"key":""}`:                     "The key is empty",
		`{"key":" \t "}`:                 "The key is empty",
		"{\"key\":\"canary\xff\"}":       "must be text in UTF-8",
		`{"key":"canary\ud800"}`:         "must be text in UTF-8",
		`{"address":"canary"}`:           "must be one of IPv4 or IPv6",
		`{"address":"192.0.2.1:80"}`:     "must be one of IPv4 or IPv6",
		`{"address":""}`:                 "must be one of IPv4 or IPv6",
		strings.Repeat("[", 60_000):      form,
		strings.Repeat(`{"key":`, 9_000): form,
	} {
		for _, path := range []string{"/key/state", "/key/reset"} {
			w := d.ask(t, "POST", path, body)
			wantProblem(t, w, 400, want)
			if strings.Contains(w.Body.String(), "canary") || d.last().Key != "" {
				t.Errorf("what was sent comes back: %s, %+v", w.Body, d.last())
			}
		}
	}
	// A key may be any text, NUL included, and long.
	for _, key := range []string{`\u0000`, `\n`, "é", strings.Repeat("k", 60_000), `{\"key\":1}`} {
		if w := d.ask(t, "POST", "/key/state", `{"key":"`+key+`"}`); w.Code != 200 {
			t.Errorf("%.20s: %d: %s", key, w.Code, w.Body)
		}
	}
}

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

// TestBrokenBodies: a body that stops is told from one that is wrong.
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
// the server's WriteTimeout is answered all the same, and the connection goes on as ever.
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
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{} }

// TestCanary: a key is in no answer and no log, whatever is asked and whatever fails. The
// control finds it in what was sent.
func TestCanary(t *testing.T) {
	const canary = "sk-canary-7d41c0ffee"
	var shown, sent, log bytes.Buffer
	events := make(chan string, 10_000)
	text := fmt.Sprintf(`{"default":"1/s;shadow","plans":{"gold":"1/s"},"members":{%q:"gold"},"keys":{%q:"2/s;shadow"}}`, canary, canary+"-2")
	for _, store := range []ratelimit.Store{memstore.New(memstore.Config{}), down{}, down{panics: true}} {
		table := newTable(t, text)
		limiter := newLimiter(t, store, table, ratelimit.Config{})
		for range 3 {
			_, _ = limiter.Allow(t.Context(), canary+"-2")
		}
		h, err := admin.New(limiter, operator, admin.Config{
			Table: table, Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Observe: func(_ *http.Request, e admin.Event) { events <- fmt.Sprintf("%+v\n", e); panic(canary) },
		})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(h)
		server.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(&log, nil), slog.LevelError)
		server.Start()
		ask := func(method, path, body, match string) string {
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", secret)
			r.Header.Set("Content-Type", "application/json")
			if match != "" {
				r.Header.Set("If-Match", match)
			}
			sent.WriteString(body)
			response, err := server.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			_ = response.Write(&shown)
			return response.Header.Get("ETag")
		}
		for _, path := range []string{"/key/state", "/key/reset", "/shadow", "/table", "/table/summary", "/openapi.json", "/nothing"} {
			etag := ask("GET", "/table", "", "")
			for _, method := range []string{"GET", "POST", "PUT"} {
				for _, body := range []string{
					fmt.Sprintf(`{"key":%q}`, canary), fmt.Sprintf(`{"key":%q}`, canary+"-2"), fmt.Sprintf(`{"address":%q}`, canary), canary, text,
					fmt.Sprintf(`{"default":"1/s","plans":{%q:%q}}`, canary, canary), fmt.Sprintf(`{"default":%q,"keys":{%q:%q}}`, canary, canary, canary),
					fmt.Sprintf(`{%q:{}}`, canary), fmt.Sprintf(`{"default":"1/s","members":{%q:%q}}`, canary, canary), fmt.Sprintf(`{"default":"1/s","keys":{"sha256:%s":"1/s"}}`, canary),
				} {
					ask(method, path, body, etag)
				}
			}
		}
		server.Close()
	}
	close(events)
	for e := range events {
		shown.WriteString(e)
	}
	if !strings.Contains(sent.String(), canary) || shown.Len() < 10_000 || !strings.Contains(log.String(), "panicked") {
		t.Fatalf("the control does not hold: %d bytes were shown", shown.Len())
	}
	for _, where := range []string{shown.String(), log.String()} {
		if at := strings.Index(where, canary); at >= 0 {
			t.Errorf("the key is in %s", where[max(0, at-500):min(len(where), at+100)])
		}
		if strings.Contains(where, fmt.Sprintf("%x", canary)) {
			t.Error("the key is there in hexadecimal digits")
		}
	}
}
