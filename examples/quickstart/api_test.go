package main

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// hourly lets no token come back while a test runs.
var hourly = ratelimit.PerHour(5)

func TestFiveCallsThen429(t *testing.T) {
	url := serveTest(t, hourly)
	for i := range 5 {
		answer := get(t, url, "alice")
		if answer.status != http.StatusOK || answer.header.Get("X-Rate-Limit-Remaining") != string(rune('4'-i)) {
			t.Errorf("call %d: %d, %v", i+1, answer.status, answer.header)
		}
	}
	if answer := get(t, url, "alice"); answer.status != http.StatusTooManyRequests || answer.header.Get("Retry-After") == "" {
		t.Errorf("call 6: %d, %v", answer.status, answer.header)
	}
}

func TestTwoKeysDoNotDisturbEachOther(t *testing.T) {
	url := serveTest(t, hourly)
	wantDeniedAfter(t, 5, func() int { return get(t, url, "alice").status })
	wantDeniedAfter(t, 5, func() int { return get(t, url, "bob").status })
}

func TestWithoutAKeyTheAddressIsLimited(t *testing.T) {
	url := serveTest(t, hourly)
	wantDeniedAfter(t, 5, func() int { return get(t, url, "").status })
	forged := get(t, url, "", "X-Forwarded-For", "203.0.113.9", "X-Real-IP", "203.0.113.9")
	if forged.status != http.StatusTooManyRequests {
		t.Errorf("a forged address: %d, want 429", forged.status)
	}
	if answer := get(t, url, "alice"); answer.status != http.StatusOK {
		t.Errorf("a caller with a key at the same address: %d, want 200", answer.status)
	}
}

func TestUnknownPathsAreLimitedToo(t *testing.T) {
	url := serveTest(t, hourly)
	want := []int{404, 404, 404, 404, 404, 429}
	for i, status := range want {
		if answer := get(t, url+"nothing/here", "alice"); answer.status != status {
			t.Errorf("call %d: %d, want %d", i+1, answer.status, status)
		}
	}
}

func TestHealthIsNotLimited(t *testing.T) {
	url := serveTest(t, ratelimit.PerHour(1))
	get(t, url, "")
	if answer := get(t, url, ""); answer.status != http.StatusTooManyRequests {
		t.Fatalf("the limit is not reached: %d", answer.status)
	}
	for range 3 {
		answer := get(t, url+"healthz", "")
		var health struct{ Status string }
		if err := json.Unmarshal([]byte(answer.body), &health); err != nil {
			t.Error(err)
		}
		if answer.status != http.StatusOK || health.Status != "ok" {
			t.Errorf("health: %d, %q", answer.status, health.Status)
		}
		for _, name := range middleware.Headers() {
			if answer.header.Get(name) != "" {
				t.Errorf("health has the header %s", name)
			}
		}
	}
}

func TestABadLimitIsAnError(t *testing.T) {
	if _, err := newAPI(ratelimit.PerSecond(-1), log.New(io.Discard, "", 0)); err == nil {
		t.Error("a negative rate was accepted")
	}
}

// serveTest serves the API over real HTTP while t runs, and returns its address.
func serveTest(t *testing.T, limit ratelimit.Limit) string {
	t.Helper()
	api, err := newAPI(limit, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	return server.URL + "/"
}

// A reply is what the API answered to one call.
type reply struct {
	status int
	header http.Header
	body   string
}

// get makes one call with a key, if it is not "", and further headers.
func get(t *testing.T, url, key string, headers ...string) reply {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(body)}
}

func wantDeniedAfter(t *testing.T, n int, call func() int) {
	t.Helper()
	for i := range n {
		if status := call(); status != http.StatusOK {
			t.Errorf("call %d: status %d, want 200", i+1, status)
		}
	}
	if status := call(); status != http.StatusTooManyRequests {
		t.Errorf("call %d: status %d, want 429", n+1, status)
	}
}
