package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestRoutes: what each call leaves of the limits that hold it.
func TestRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := newAPI()
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []struct {
			wait   time.Duration
			method string
			path   string
			status int
			want   string // RateLimit
		}{
			{0, "GET", "/items/1", 200, `"default";r=24;t=58, "hourly";r=999;t=3597`},
			{0, "GET", "/search", 200, `"default";r=14;t=34, "hourly";r=989;t=3561`},
			{0, "HEAD", "/export/x", 200, `"GET /export/{table}";r=1;t=30, "default";r=13;t=32, "hourly";r=988;t=3557`},
			{0, "GET", "/export/x", 200, `"GET /export/{table}";r=0;t=30, "default";r=12;t=29, "hourly";r=987;t=3554`},
			{0, "GET", "/export/y", 429, `"GET /export/{table}";r=0;t=30, "default";r=12;t=29, "hourly";r=987;t=3554`},
			{0, "GET", "/search", 200, `"default";r=2;t=5, "hourly";r=977;t=3518`},
			{0, "GET", "/search", 429, `"default";r=2;t=20, "hourly";r=977;t=3518`},
			{0, "POST", "/search", 405, `"default";r=1;t=3, "hourly";r=976;t=3514`},
			{0, "GET", "//search", 307, `"default";r=0;t=3, "hourly";r=975;t=3510`},
			{0, "GET", "/export/x", 429, `"GET /export/{table}";r=0;t=60, "default";r=0;t=3, "hourly";r=975;t=3510`}, // the second in the queue
			{30 * time.Second, "GET", "/export/x", 200, `"GET /export/{table}";r=0;t=30, "default";r=11;t=27, "hourly";r=982;t=3536`},
		} {
			time.Sleep(c.wait)
			r := httptest.NewRequestWithContext(t.Context(), c.method, c.path, nil)
			r.Header.Set("X-API-Key", "alice")
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			if got := w.Header().Get("RateLimit"); w.Code != c.status || got != c.want {
				t.Errorf("call %d, %s %s: %d, %s; want %d, %s", i+1, c.method, c.path, w.Code, got, c.status, c.want)
			}
		}
	})
}

func TestDemo(t *testing.T) {
	testkit.Long(t, "needs real time: its calls must be made within 2 s")
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-demo"}, &out, &errs); status != 0 || errs.Len() > 0 {
		t.Fatalf("status %d, errors %q, output\n%s", status, &errs, &out)
	}
	for _, want := range []string{
		`GET /items/1: 200 OK\n    Ratelimit: "default";r=24;t=\d+, "hourly";r=999;t=\d+\n`,
		`GET /search: 429 Too Many Requests\n    Ratelimit: "default";.*\n    Retry-After: \d+\n    \{"type":.*"violated-policies":\["default"\]`,
		`GET /export/orders: 429 Too Many Requests\n    Ratelimit: "GET /export/\{table\}";r=0;t=\d+, .*\n    Retry-After: \d+\n    \{"type":.*"violated-policies":\["GET /export/\{table\}"\]`,
		`GET /%65xport/orders: 429 `,
		`GET /nothing: 404 Not Found\n    Ratelimit: "default";r=24;`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("%s is missing in the output:\n%s", want, &out)
		}
	}
}

func TestFlags(t *testing.T) {
	for args, want := range map[string]struct {
		status int
		text   string
	}{
		"-h":            {0, "-demo"},
		"-dmo":          {2, "-dmo"},
		"demo":          {2, `unexpected argument "demo"`},
		"-addr nowhere": {1, "choose another address"},
	} {
		var out, errs bytes.Buffer
		if status := run(t.Context(), strings.Fields(args), &out, &errs); status != want.status || !strings.Contains(errs.String(), want.text) {
			t.Errorf("%s: status %d, %q; want %d, %q", args, status, &errs, want.status, want.text)
		}
	}
}

// TestServesUntilItEnds: the program answers at the address that it prints.
func TestServesUntilItEnds(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, in := io.Pipe()
	status := make(chan int, 1)
	go func() {
		defer in.Close()
		status <- run(ctx, []string{"-addr", "127.0.0.1:0"}, in, io.Discard)
	}()
	text := make([]byte, 1024)
	n, err := out.Read(text)
	if err != nil {
		t.Fatalf("ended with status %d: %v", <-status, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // the end
	address := regexp.MustCompile(`http://(127.0.0.1:\d+)/export/orders`).FindSubmatch(text[:n])
	if address == nil {
		t.Fatalf("no address in %q", text[:n])
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+string(address[1])+"/export/orders", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: new(http.Transport)}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	client.CloseIdleConnections()
	if answer.StatusCode != http.StatusOK || answer.Header.Get("RateLimit") == "" {
		t.Errorf("status %d, headers %v", answer.StatusCode, answer.Header)
	}
	stop()
	if got := <-status; got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}
