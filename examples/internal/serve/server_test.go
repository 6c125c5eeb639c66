package serve

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

func TestReachable(t *testing.T) {
	for _, c := range []struct{ addr, ip, want string }{
		{"localhost:0", "127.0.0.1", "localhost:80"}, {"localhost:0", "::1", "localhost:80"}, {":0", "::", "localhost:80"}, {"0.0.0.0:0", "0.0.0.0", "localhost:80"},
		{"127.0.0.1:0", "127.0.0.1", "127.0.0.1:80"}, {"[::1]:0", "::1", "[::1]:80"}, {"192.0.2.1:0", "192.0.2.1", "192.0.2.1:80"},
	} {
		if got := reachable(c.addr, &net.TCPAddr{IP: net.ParseIP(c.ip), Port: 80}); got != c.want {
			t.Errorf("-addr %s on %s: %s, want %s", c.addr, c.ip, got, c.want)
		}
	}
}

func TestACallUnderWayIsAnsweredBeforeTheEnd(t *testing.T) {
	begun, release := make(chan bool), make(chan bool)
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-release
		_, _ = io.WriteString(w, "done")
	})
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- HTTP(ctx, listener, handler) }()
	body := make(chan string, 1)
	go func() {
		defer close(body)
		body <- get(t, "http://"+listener.Addr().String())
	}()
	<-begun
	stop()
	for { // until no connection is accepted any more
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
		time.Sleep(time.Millisecond)
	}
	close(release)
	if got := <-body; got != "done" {
		t.Errorf("the call under way was answered with %q", got)
	}
	if err := <-served; err != nil {
		t.Errorf("HTTP returned %v", err)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := Get(t.Context(), http.DefaultClient, url, "alice")
	if err != nil {
		t.Error(err)
	}
	return string(answer.Body)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}
