package http

import (
	"net/http"
	"testing"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
	"github.com/keyrate/keyrate/benchmarks/internal/load"
)

func TestServersAreMeasured(t *testing.T) {
	for _, name := range []string{bareServer, headerServer, library.Ours} {
		c, err := child.Start(t.Context(), "server", name, name)
		if err != nil {
			t.Fatal(err)
		}
		server, err := NewTarget(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		closed, err := server.Closed(t.Context(), 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		open, err := server.open(t.Context(), 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if closed["cpu_us"] <= 0 || closed["per_second"] <= 0 || open["p99_us"] < open["p50_us"] || open["p50_us"] <= 0 {
			t.Errorf("%s: closed %v, open %v", name, closed, open)
		}
		server.Close()
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// The server that keyrate is compared with must send the same headers.
func TestConstantHeaders(t *testing.T) {
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set(load.KeyHeader, load.NewKey(0))
	request.RemoteAddr = "192.0.2.1:1234"
	sent := map[string]http.Header{}
	for _, name := range []string{headerServer, library.Ours} {
		handler, err := newServerHandler(name)
		if err != nil {
			t.Fatal(err)
		}
		sink := load.NewSink()
		handler.ServeHTTP(sink, request)
		sent[name] = sink.Header()
	}
	if len(sent[library.Ours]) == 0 || len(sent[library.Ours]) != len(sent[headerServer]) {
		t.Fatalf("got %v", sent)
	}
	for name, values := range sent[library.Ours] {
		if sent[headerServer].Get(name) != values[0] {
			t.Errorf("%s: %q as a constant, %q from keyrate", name, sent[headerServer].Get(name), values[0])
		}
	}
}
