package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/keyrate/keyrate/examples/internal/process"
	"github.com/keyrate/keyrate/examples/internal/serve"
)

// TestProxyTakesTurns: each host gets its part of the calls, and one that is gone fails none.
func TestProxyTakesTurns(t *testing.T) {
	var hosts []string
	for i := range 2 {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, string(rune('a'+i)))
		}))
		defer s.Close()
		hosts = append(hosts, s.Listener.Addr().String())
	}
	gone, err := process.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, hosts := range [][]string{hosts, append(hosts, gone)} {
		proxy := httptest.NewServer(newProxy(http.DefaultTransport, hosts))
		defer proxy.Close()
		got := map[string]int{}
		for range 12 {
			answer, err := serve.Get(t.Context(), http.DefaultClient, proxy.URL, hotKey)
			if err != nil || answer.Code != http.StatusOK {
				t.Fatal(answer.Status, err)
			}
			got[string(answer.Body)]++
		}
		if got["a"] != 6 || got["b"] != 6 { // a also has the turns of the one that is gone
			t.Errorf("of %d hosts: %v", len(hosts), got)
		}
	}
}
