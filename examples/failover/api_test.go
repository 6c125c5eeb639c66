package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// noRedis returns the URL of a Redis that does not run.
func noRedis(t *testing.T) string {
	t.Helper()
	address, err := process.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return "redis://" + address
}

func get(t *testing.T, url, key string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-API-Key", key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// TestLimitsWithoutRedis: it starts while Redis is down, and limits.
func TestLimitsWithoutRedis(t *testing.T) {
	output := new(process.Output)
	a, err := newAPI(setup{redis: noRedis(t), nodes: 1, logger: slog.New(slog.NewTextHandler(output, nil))})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(a)
	defer func() {
		server.Close()
		if err := a.close(); err != nil {
			t.Error(err)
		}
	}()
	begin, count := time.Now(), map[int]int{}
	for range 4 * limit.Rate {
		status, _ := get(t, server.URL, "canary")
		count[status]++
	}
	most := limit.Rate + int(time.Since(begin)*time.Duration(limit.Rate)/limit.Period)
	if n := count[http.StatusOK]; n < limit.Rate || n > most || n+count[http.StatusTooManyRequests] != 4*limit.Rate {
		t.Errorf("answers %v, want from %d to %d of 200, and else 429", count, limit.Rate, most)
	}
	status, body := get(t, server.URL+"/health", "canary")
	var health struct{ Status, Decides string }
	if err := json.Unmarshal([]byte(body), &health); err != nil {
		t.Error(err)
	}
	if status != http.StatusOK || health.Status != "degraded" || health.Decides != "local" {
		t.Errorf("health: %d, %s", status, body)
	}
	// The change is reported behind the calls.
	for end := time.Now().Add(time.Minute); !strings.Contains(output.String(), "Redis is down") && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if text := output.String(); !strings.Contains(text, "Redis is down") || strings.Contains(text, "canary") {
		t.Errorf("logged:\n%s", text)
	}
}

func TestServesUntilToldToEnd(t *testing.T) {
	output := new(process.Output)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	o := options{redis: noRedis(t), addr: "127.0.0.1:0", nodes: 1}
	go func() { ended <- serveAPI(ctx, o, output, slog.New(slog.NewTextHandler(output, nil))) }()
	var address []string
	for deadline := time.Now().Add(10 * time.Second); address == nil && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		address = regexp.MustCompile(`Serving http://(\S+)/ `).FindStringSubmatch(output.String())
	}
	if address == nil {
		t.Fatalf("it does not say where it serves:\n%s", output)
	}
	if status, body := get(t, "http://"+address[1], "key"); status != http.StatusOK || body != "hello\n" {
		t.Errorf("%d %q", status, body)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if !strings.Contains(output.String(), "Shut down.") {
		t.Errorf("the end is not printed:\n%s", output)
	}
}
