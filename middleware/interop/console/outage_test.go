package console_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
)

// TestOutage: the console works while the store is down, and says so.
func TestOutage(t *testing.T) {
	p := start(t)
	page := tab.Open(t, p.console(t))
	await(page, t, `document.getElementById("health-status").textContent.startsWith("Every part decides")`)
	p.down.Store(true)
	stop := make(chan struct{})
	var calls sync.WaitGroup
	calls.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				p.call(t, "alice-s3cr3t", 1)
			}
		}
	})
	defer func() { close(stop); calls.Wait() }()
	await(page, t, `document.getElementById("health-status").textContent.includes("not by every part")`)
	await(page, t, `document.getElementById("sources").textContent.includes("100 % this node alone")`)
	look(page, t, "alice-s3cr3t")
	await(page, t, `document.getElementById("verdict").textContent.includes("this node alone")`)
	p.down.Store(false)
	await(page, t, `document.getElementById("health-status").textContent.startsWith("Every part decides")`)
}

// TestRestart: a server that shuts down does not wait for open consoles, which say that it is
// down and come back by themselves when it is.
func TestRestart(t *testing.T) {
	p := start(t)
	listen := func(address string) (*http.Server, net.Listener) {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: p.Config.Handler, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }()
		return server, listener
	}
	server, listener := listen("127.0.0.1:0")
	page := tab.Open(t, "http://operator:"+secret+"@"+listener.Addr().String()+"/limits/")
	await(page, t, `document.getElementById("status").dataset.state === "live"`)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("the server waits for the console: %v", err)
	}
	await(page, t, `document.getElementById("status").dataset.state === "lost"`)
	server, _ = listen(listener.Addr().String())
	defer server.Close()
	await(page, t, `document.getElementById("status").dataset.state === "live"`)
}
