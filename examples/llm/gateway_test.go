package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
)

const stream = "data: {\"choices\":[]}\n\n"

// TestPrices: what a request to each upstream has cost in the end, of acme's tokens.
func TestPrices(t *testing.T) {
	const body = `{"max_tokens":3000}`
	full, _ := estimateOf([]byte(body))
	for _, c := range []struct {
		name     string
		upstream http.HandlerFunc
		status   int
		price    int
	}{
		{"usage", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, stream+"data: {\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":400}}\n\ndata: [DONE]\n\n")
		}, http.StatusOK, 500},
		{"more than the estimate", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"usage":{"prompt_tokens":6000,"completion_tokens":400}}`)
		}, http.StatusOK, 6400},
		{"no usage", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, stream)
		}, http.StatusOK, full},
		{"an error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }, http.StatusServiceUnavailable, 0},
		{"no response", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, http.StatusBadGateway, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := startGateway(t, c.upstream)
			if got := post(t, g.url, "acme-key-0", body); got != c.status {
				t.Fatalf("status %d", got)
			}
			g.wantPrice(t, c.price)
		})
	}
}

// TestDisconnectedClientPaysItsEstimate: or a client could have each stream but its end for free.
func TestDisconnectedClientPaysItsEstimate(t *testing.T) {
	const body = `{"max_tokens":3000}`
	full, _ := estimateOf([]byte(body))
	const start = `data: {"type":"message_start","message":{"usage":{"input_tokens":10,"output_tokens":1}}}` + "\n\n"
	for _, begin := range []string{"", stream, start} {
		begun := begin != ""
		ctx, disconnect := context.WithCancel(t.Context())
		gone := make(chan struct{})
		g := startGateway(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // a server sees only then that its client has gone
			if begun {
				w.Header().Set("Content-Type", "text/event-stream")
				fmt.Fprint(w, begin)
				_ = http.NewResponseController(w).Flush()
			} else {
				disconnect()
			}
			<-r.Context().Done()
			close(gone)
		})
		response, err := http.DefaultClient.Do(request(ctx, t, g.url, "acme-key-0", body))
		if (err == nil) != begun {
			t.Errorf("begun %v: %v", begun, err)
		}
		if err == nil {
			response.Body.Close()
		}
		disconnect()
		<-gone
		g.wantPrice(t, full)
	}
}

// TestKeysAreKnown: nothing is asked for a stranger, and all keys of an organisation pay.
func TestKeysAreKnown(t *testing.T) {
	calls := 0
	g := startGateway(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		w.WriteHeader(http.StatusNoContent)
	})
	for _, key := range []string{"", "acme", "acme-key-4", "stranger"} {
		if got := post(t, g.url, key, `{"max_tokens":4000}`); got != http.StatusUnauthorized || calls > 0 {
			t.Errorf("%q: status %d", key, got)
		}
	}
	for i, want := range []int{http.StatusNoContent, http.StatusNoContent, http.StatusTooManyRequests} {
		if got := post(t, g.url, organisations[0].key(i), `{"max_tokens":4000}`); got != want {
			t.Errorf("call %d: status %d", i, got)
		}
	}
	if got := post(t, g.url, organisations[1].key(0), `{"max_tokens":4000}`); got != http.StatusNoContent {
		t.Errorf("the other organisation: status %d", got)
	}
	if got := post(t, g.url, organisations[1].key(0), `{}`); got != http.StatusBadRequest || calls != 3 {
		t.Errorf("without max_tokens: status %d after %d calls", got, calls)
	}
}

// A served is a gateway behind a server, in front of an upstream.
type served struct {
	*gateway
	url   string
	start time.Time
}

func startGateway(t *testing.T, upstream http.HandlerFunc) *served {
	t.Helper()
	api := httptest.NewServer(upstream)
	t.Cleanup(api.Close)
	g, err := newGateway(options{redis: "redis://" + miniredis.RunT(t).Addr(), upstream: api.URL}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g)
	t.Cleanup(func() {
		server.Close()
		if err := g.close(); err != nil {
			t.Error(err)
		}
	})
	return &served{g, server.URL, time.Now()}
}

func request(ctx context.Context, t *testing.T, url, key, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	return r
}

// post makes a call, reads the response, and returns its status.
func post(t *testing.T, url, key, body string) int {
	t.Helper()
	response, err := http.DefaultClient.Do(request(t.Context(), t, url, key, body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		t.Error(err)
	}
	return response.StatusCode
}

// wantPrice waits until nothing is held, and compares what is left with the price.
func (s *served) wantPrice(t *testing.T, price int) {
	t.Helper()
	for {
		r, err := s.limiter.Peek(t.Context(), "acme-key-1")
		if err != nil {
			t.Fatal(err)
		}
		held := 0
		for i := range r.Len() {
			held += r.State(i).Held
		}
		if held > 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		for i := range r.Len() {
			if l := r.State(i); l.Limit.Name == tokens {
				paid := l.Limit.Burst - l.Remaining
				back := int(perSecond(l.Limit)*time.Since(s.start).Seconds()) + 1
				if paid > price || paid < price-back {
					t.Errorf("%d tokens were paid, want %d, less up to %d that have come back", paid, price, back)
				}
			}
		}
		return
	}
}
