package redisstore

import (
	"bytes"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A proxy is between a client and a server, and can lose the replies to script calls that
// were executed.
type proxy struct {
	address string
	server  atomic.Pointer[string]
	cut     atomic.Bool  // closes a connection instead of passing on the reply to a script call
	lost    atomic.Int64 // script calls whose replies got lost
	conns   atomic.Int64 // all connections
	open    atomic.Int64 // connections now
	highest atomic.Int64 // the most at once
}

func startProxy(t testing.TB, server string) *proxy {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: listener.Addr().String()}
	p.lead(server)
	var wg sync.WaitGroup
	var mu sync.Mutex
	all := map[net.Conn]bool{}
	wg.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := new(net.Dialer).DialContext(t.Context(), "tcp", *p.server.Load())
			if err != nil {
				client.Close()
				continue
			}
			p.conns.Add(1)
			if n := p.open.Add(1); n > p.highest.Load() {
				p.highest.Store(n)
			}
			mu.Lock()
			all[client], all[server] = true, true
			mu.Unlock()
			wg.Go(func() {
				p.pass(client, server)
				p.open.Add(-1)
				mu.Lock()
				delete(all, client)
				delete(all, server)
				mu.Unlock()
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for c := range all {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return p
}

// lead connects new connections to another server.
func (p *proxy) lead(server string) { p.server.Store(&server) }

// pass copies bytes in both directions until one side ends.
func (p *proxy) pass(client, server net.Conn) {
	var doomed atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || doomed.Load() { // after a reply, so the call was executed
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 1<<20)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		if p.cut.Load() {
			if calls := bytes.Count(bytes.ToLower(buffer[:n]), []byte("\r\nevalsha\r\n")); calls > 0 {
				p.lost.Add(int64(calls))
				doomed.Store(true)
			}
		}
		if _, err := io.Copy(server, bytes.NewReader(buffer[:n])); err != nil {
			break
		}
	}
	if doomed.Load() {
		time.Sleep(time.Millisecond)
	}
	server.Close()
	<-done
}
