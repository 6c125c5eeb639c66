package main

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyrate/keyrate/examples/internal/process"
)

// An embedded is a Redis within this program, behind a small proxy, by which it can be
// made to stand still.
type embedded struct {
	address string

	mu       sync.Mutex
	redis    *miniredis.Miniredis
	listener net.Listener
	ends     []net.Conn    // of all connections
	passes   chan struct{} // closed: bytes may pass
	carriers sync.WaitGroup
}

func startEmbedded(ctx context.Context) (*embedded, error) {
	e := &embedded{address: "127.0.0.1:0", passes: make(chan struct{})}
	close(e.passes)
	return e, e.start(ctx)
}

// start listens where it has listened before, if it has.
func (e *embedded) start(ctx context.Context) error {
	redis, err := miniredis.Run()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", e.address)
	if err != nil {
		redis.Close()
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.address, e.redis, e.listener = listener.Addr().String(), redis, listener
	e.carriers.Go(func() { e.accept(ctx, listener, redis.Addr()) })
	return nil
}

func (e *embedded) accept(ctx context.Context, listener net.Listener, target string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := new(net.Dialer).DialContext(ctx, "tcp", target)
		if err != nil {
			_ = client.Close()
			continue
		}
		e.mu.Lock()
		e.ends = append(e.ends, client, server)
		e.mu.Unlock()
		e.carriers.Go(func() { e.carry(server, client) })
		e.carriers.Go(func() { e.carry(client, server) })
	}
}

// carry carries one direction, until either end is closed.
func (e *embedded) carry(to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		e.mu.Lock()
		passes := e.passes
		e.mu.Unlock()
		<-passes
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (e *embedded) url() string { return "redis://" + e.address }

func (e *embedded) suffer(ctx context.Context, f fault) error {
	switch f {
	case hang:
		e.mu.Lock()
		defer e.mu.Unlock()
		e.passes = make(chan struct{})
	case resume:
		e.resume()
	case kill:
		return e.close()
	case restart:
		return process.Retry(func() error { return e.start(ctx) })
	default:
	}
	return nil
}

func (e *embedded) resume() {
	e.mu.Lock()
	defer e.mu.Unlock()
	select {
	case <-e.passes:
	default:
		close(e.passes)
	}
}

// close ends all connections. What was in this Redis is lost.
func (e *embedded) close() error {
	e.mu.Lock()
	err := e.listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil // it was killed before
	}
	for _, end := range e.ends {
		_ = end.Close() // the other side may have closed it
	}
	e.ends = nil
	e.redis.Close()
	e.mu.Unlock()
	e.resume() // those that wait see the end
	e.carriers.Wait()
	return err
}
