package console_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
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

// TestRestart: a server that shuts down does not wait for open consoles. They say that what they show
// is old, and show the table of the program that comes after it.
func TestRestart(t *testing.T) {
	listen := func(address string, h http.Handler) (*http.Server, net.Listener) {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
		go func() { _ = server.Serve(listener) }()
		return server, listener
	}
	server, listener := listen("127.0.0.1:0", start(t).Config.Handler)
	page := tab.Open(t, "http://operator:"+secret+"@"+listener.Addr().String()+"/limits/")
	await(page, t, `document.getElementById("status").dataset.state === "live" && document.getElementById("plans").textContent.includes("10/s;burst=60")`)
	ctx, cancel := context.WithTimeout(t.Context(), patient)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		t.Errorf("the server waits for the console: %v", err)
	}
	await(page, t, `document.getElementById("status").textContent.includes("this is as of") && document.body.classList.contains("stale")`)
	after := start(t)
	c := tableOf(t, ratelimit.PerSecond(77))
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	server, _ = listen(listener.Addr().String(), after.with(t, table))
	defer server.Close()
	await(page, t, `document.getElementById("status").dataset.state === "live" && !document.body.classList.contains("stale")`)
	await(page, t, `document.getElementById("plans").textContent.includes("77/s")`)
}

// TestUnbuffered: where events cannot be flushed, there is one a second all the same, and no alarm.
func TestUnbuffered(t *testing.T) {
	p := start(t)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.Config.Handler.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
	defer bare.Close()
	page := tab.Open(t, strings.Replace(bare.URL, "http://", "http://operator:"+secret+"@", 1)+"/limits/")
	await(page, t, `document.getElementById("status").dataset.state === "live"`)
	eval[bool](page, t, `{window.states = new Set(); new MutationObserver(() => states.add(document.getElementById("status").dataset.state)).observe(document.getElementById("status"), {attributes: true}); true}`)
	eval[bool](page, t, `{window.bars = history.length; true}`)
	await(page, t, `history.length >= bars + 6`)
	if states := eval[string](page, t, `[...states].join()`); strings.Contains(states, "lost") {
		t.Errorf("the states were %s", states)
	}
}
