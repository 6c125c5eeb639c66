package seen

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/store/redisstore"
)

// A backend is a Redis within the bubble: its connections are pipes.
type backend struct {
	redis *miniredis.Miniredis
	again func() error // starts the program once more

	mu    sync.Mutex
	dead  bool
	lose  bool // the next answer
	conns []net.Conn
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{redis: miniredis.NewMiniRedis()}
	t.Cleanup(b.redis.Close)
	return b
}

func (b *backend) dial(context.Context, string, string) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	conn, err := b.redis.Dial()
	if err != nil {
		return nil, err
	}
	b.conns = append(b.conns, conn)
	return &pipe{Conn: conn, backend: b}, nil
}

// die ends all connections, and rejects new ones.
func (b *backend) die() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = true
	for _, conn := range b.conns {
		_ = conn.Close()
	}
}

// hang takes what it is sent, and answers nothing until the returned function is called.
func (b *backend) hang() (resume func()) {
	stopped := make(chan struct{})
	b.redis.Server().SetPreHook(func(*server.Peer, string, ...string) bool {
		<-stopped
		return false
	})
	return func() { close(stopped) }
}

// loseOne makes the next answer get lost on its way, with its connection: one to what a
// limiter asks, not to what a client asks of each new connection.
func (b *backend) loseOne() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lose = true
}

func (b *backend) losing() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	lose := b.lose
	b.lose = false
	return lose
}

// A pipe ends like a connection of TCP. It is for one goroutine at a time.
type pipe struct {
	net.Conn
	backend  *backend
	greeting bool // what was written last
}

func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.Conn.Read(b)
	if n > 0 && !p.greeting && p.backend.losing() {
		_ = p.Close()
		return 0, io.EOF
	}
	if errors.Is(err, io.ErrClosedPipe) {
		err = io.EOF
	}
	return n, err
}

func (p *pipe) Write(b []byte) (int, error) {
	sent := bytes.ToLower(b)
	p.greeting = bytes.Contains(sent, []byte("\r\nhello\r\n")) || bytes.Contains(sent, []byte("\r\nclient\r\n"))
	n, err := p.Conn.Write(b)
	if errors.Is(err, io.ErrClosedPipe) {
		err = &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
	}
	return n, err
}

// The deadlines of a connection whose other end is gone can still be set.

func (p *pipe) SetDeadline(t time.Time) error      { return ungone(p.Conn.SetDeadline(t)) }
func (p *pipe) SetReadDeadline(t time.Time) error  { return ungone(p.Conn.SetReadDeadline(t)) }
func (p *pipe) SetWriteDeadline(t time.Time) error { return ungone(p.Conn.SetWriteDeadline(t)) }

func ungone(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

// AsNewClient returns options as redisstore.NewClient sets them, with the address and
// the dialer of o.
func AsNewClient(o *redis.Options) *redis.Options {
	client, err := redisstore.NewClient("unix:///no/such.sock") // which does not exist, and is never dialled
	if err != nil {
		panic(err)
	}
	defer client.Close()
	one, ok := client.(*redis.Client)
	if !ok {
		panic("redisstore.NewClient has made no client of one server")
	}
	set := *one.Options()
	set.Network, set.Addr, set.Dialer = o.Network, o.Addr, o.Dialer
	return &set
}
