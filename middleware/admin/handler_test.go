package admin_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/middleware/admin"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// TestPathsAndMethods: each path has its methods, HEAD goes where GET does, and there is nothing else.
func TestPathsAndMethods(t *testing.T) {
	d := newDesk(t)
	paths := map[string]string{"/key/state": "POST", "/key/reset": "POST", "/key/reset-shared": "POST", "/key/block": "POST", "/key/unblock": "POST", "/table": "GET, HEAD, PUT", "/table/summary": "GET, HEAD", "/table/changes": "GET, HEAD", "/table/rollback": "POST", "/table/override": "POST", "/shadow": "GET, HEAD", "/denied": "GET, HEAD", "/openapi.json": "GET, HEAD", "/": "GET, HEAD"}
	for path, methods := range paths {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get"} {
			w := d.ask(t, method, path, "")
			if strings.Contains(" "+methods+",", " "+method+",") {
				if w.Code == http.StatusMethodNotAllowed {
					t.Errorf("%s %s is not allowed", method, path)
				}
				continue
			}
			if method == "HEAD" {
				if w.Code != 405 || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "" {
					t.Errorf("HEAD %s: %d, %v", path, w.Code, w.Header())
				}
			} else {
				wantProblem(t, w, 405, "Allow")
			}
			if got := w.Header().Get("Allow"); got != methods {
				t.Errorf("%s %s: Allow is %q, want %q", method, path, got, methods)
			}
		}
		if strings.Contains(methods, "HEAD") {
			get, head := d.ask(t, "GET", path, ""), d.ask(t, "HEAD", path, "")
			if head.Code != get.Code || head.Body.Len() > 0 || head.Header().Get("Content-Length") != get.Header().Get("Content-Length") || head.Header().Get("ETag") != get.Header().Get("ETag") {
				t.Errorf("HEAD %s: %d, %v; GET: %d, %v", path, head.Code, head.Header(), get.Code, get.Header())
			}
		}
	}
	for _, path := range []string{"/console", "/key", "/key/", "/key/state/", "//key/state", "/table/summary/x", "/TABLE", "/key/./state", "/health"} {
		wantProblem(t, d.ask(t, "GET", path, ""), 404, "/openapi.json")
		if e := d.last(); e != (admin.Event{Status: 404}) {
			t.Errorf("%s: %+v", path, e)
		}
	}
}

// TestMounted: under http.StripPrefix, with a slash or without.
func TestMounted(t *testing.T) {
	d := newDesk(t)
	mux := http.NewServeMux()
	mux.Handle("/a/", http.StripPrefix("/a", d))
	mux.Handle("/b/", http.StripPrefix("/b/", d))
	for path, want := range map[string]int{"/a/table/summary": 200, "/b/table/summary": 200, "/b/": 200, "/a/": 200, "/a/key/state": 405} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		r.Header.Set("Authorization", secret)
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, r); w.Code != want {
			t.Errorf("%s: %d: %s", path, w.Code, w.Body)
		}
	}
}

// TestWithoutStripPrefix: the 404 names what is missing, only to operators, and only where
// an operation is at the end of the path.
func TestWithoutStripPrefix(t *testing.T) {
	d := newDesk(t)
	for _, path := range []string{"/limits/key/state", "/limits/table", "/a/b/openapi.json"} {
		wantProblem(t, d.ask(t, "GET", path, ""), 404, "http.StripPrefix")
		wantProblem(t, d.ask(t, "GET", path, "", "Authorization: Bearer stranger"), 403, "not authorized")
	}
	for _, path := range []string{"/limits/", "//table", "/limits/tables", "/limitstable", "/table/x"} {
		if w := d.ask(t, "GET", path, ""); w.Code != 404 || strings.Contains(w.Body.String(), "StripPrefix") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// TestObservePanics: the answer stands, and a constant is logged, at most once a second.
func TestObservePanics(t *testing.T) {
	var log bytes.Buffer
	h, err := admin.New(newLimiter(t, memstore.New(memstore.Config{}), ratelimit.PerSecond(5), ratelimit.Config{}), operator, admin.Config{
		Observe: func(*http.Request, admin.Event) { panic("canary") },
		Logger:  slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			if w := (&desk{Handler: h}).ask(t, "GET", "/shadow", ""); w.Code != 200 {
				t.Errorf("status %d", w.Code)
			}
		}
	})
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "Config.Observe panicked") || strings.Contains(text, "canary") {
		t.Errorf("the log is %s", text)
	}
}

// TestAuthorization comes first: a client without it learns nothing and changes nothing.
func TestAuthorization(t *testing.T) { synctest.Test(t, testAuthorization) }

func testAuthorization(t *testing.T) {
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
		for _, path := range []string{"/key/state", "/key/reset", "/key/reset-shared", "/key/block", "/key/unblock", "/table", "/table/summary", "/table/changes", "/table/rollback", "/table/override", "/shadow", "/denied", "/openapi.json", "/", "/live", "/nothing"} {
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
	if r, _ := d.limiter.Peek(t.Context(), "k"); r.Remaining() > 1 {
		t.Errorf("%d are left", r.Remaining())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// TestAuthorizationPanics: a panic denies the request, and its value is not logged.
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
		get := map[int]int{403: 403, 204: 200}[test.status]
		if w := d.ask(t, "GET", "/table", "", headers...); w.Code != get || w.Header().Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("GET with %q: %d: %s", headers, w.Code, w.Body)
		}
	}
	if w := d.ask(t, "GET", "/", "", "Sec-Fetch-Site: cross-site"); w.Code != 200 {
		t.Errorf("a link to the console: %d: %s", w.Code, w.Body)
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
