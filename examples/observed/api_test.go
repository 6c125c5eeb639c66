package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// get makes a call with headers, given as names and values in turn.
func get(t *testing.T, url string, headers ...string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestAPI: it limits in memory and while Redis is down, and shows it to those who may see it.
func TestAPI(t *testing.T) {
	address, err := process.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{"", "redis://" + address} {
		reader := sdkmetric.NewManualReader()
		a, err := newAPI(setup{redis: url, operator: "secret", reader: reader, logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(a)
		count := make(map[int]int)
		for range 50 {
			status, _ := get(t, server.URL+"/", "X-API-Key", "canary")
			count[status]++
		}
		if count[200] < 5 || count[429] == 0 || count[200]+count[429] != 50 {
			t.Errorf("%q: calls got %v, want 200 and then 429", url, count)
		}
		for _, c := range []struct {
			path    string
			headers []string
			status  int
			want    string
		}{
			{"/", nil, 401, ""},
			{"/", []string{"X-API-Key", "canary", "X-API-Key", "b"}, 400, ""},
			{"/report", []string{"X-API-Key", "gold-1"}, 200, "report"},
			{"/limits/denied", nil, 401, ""},
			{"/limits/denied", []string{"Authorization", "Bearer x"}, 403, ""},
			{"/limits/denied", []string{"Authorization", "Bearer secret"}, 200, `"limit":"default"`},
			{"/limits/table/summary", []string{"Authorization", "Bearer secret"}, 200, "gold"},
			{"/healthz", nil, 200, `"status"`},
			{"/metrics", nil, 200, `keyrate_checks_total{outcome="no_key"} 1`},
		} {
			if status, body := get(t, server.URL+c.path, c.headers...); status != c.status || !strings.Contains(body, c.want) || strings.Contains(body, "canary") {
				t.Errorf("%q: %s: %d, want %d and %q in\n%s", url, c.path, status, c.status, c.want, body)
			}
		}
		_, text := get(t, server.URL+"/metrics")
		scraped, err := parseScrape([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		read, err := readOpenTelemetry(t.Context(), reader)
		if err != nil {
			t.Fatal(err)
		}
		if missing := differences(scraped, read); missing != nil || len(read) < 20 {
			t.Errorf("%q: OpenTelemetry reads %d numbers: %q", url, len(read), missing)
		}
		read[`{__name__="keyrate_checks_total", outcome="no_key"}`]++
		if missing := differences(scraped, read); len(missing) != 1 {
			t.Errorf("%q: a number that differs is found as %q", url, missing)
		}
		server.Close()
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}
}

// TestServesUntilToldToEnd: it prints where, and what OpenTelemetry reads.
func TestServesUntilToldToEnd(t *testing.T) {
	t.Setenv(envOperator, "")
	var out output
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	o := options{addr: "127.0.0.1:0", otel: 10 * time.Millisecond}
	go func() { ended <- serveAPI(ctx, o, &out, slog.New(slog.DiscardHandler)) }()
	found := out.await(t, `(?s)Serving (http://\S+/), with .*Operators open .* is (\S+)\n`)
	if status, body := get(t, found[1], "X-API-Key", "key"); status != http.StatusOK || body != "hello\n" {
		t.Errorf("%d %q", status, body)
	}
	if status, _ := get(t, found[1]+"limits/table", "Authorization", "Bearer "+found[2]); status != http.StatusOK {
		t.Errorf("the printed secret gets %d", status)
	}
	out.await(t, `"keyrate.checks"`)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	out.await(t, "Shut down.")
}

// output is what a program prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// await waits for text that matches.
func (o *output) await(t *testing.T, pattern string) []string {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if found := regexp.MustCompile(pattern).FindStringSubmatch(o.String()); found != nil {
			return found
		}
	}
	t.Fatalf("%q is not in\n%s", pattern, o)
	return nil
}
