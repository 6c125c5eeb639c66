package chaos

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy is a network between a client and a server, on loopback, that can be made
// bad while it is in use. Its methods are safe for concurrent use.
type Proxy struct {
	Addr string // 127.0.0.1:PORT

	target   string
	delay    atomic.Int64 // each way, in nanoseconds
	requests atomic.Int64 // one in so many is lost
	replies  atomic.Int64
	speed    atomic.Int64 // of the line, in bytes a second; 0: it is not limited
	bytes    atomic.Int64 // of a reply that get through before the connection is reset; 0: all
	random   struct {
		sync.Mutex
		*rand.Rand
	}

	accepted, lostRequests, lostReplies, resets atomic.Int64
}

// StartProxy starts a proxy in front of a server, such as Server.Addr. It changes
// nothing until it is told to. The seed makes what it loses repeatable, as far as
// the order of the calls is.
func StartProxy(tb testing.TB, target string, seed uint64) *Proxy {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target}
	p.random.Rand = rand.New(rand.NewPCG(seed, 0))
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // the cleanup waits for what it ends
	var served sync.WaitGroup
	served.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			served.Go(func() { p.serve(ctx, client) })
		}
	})
	tb.Cleanup(func() {
		cancel()
		_ = l.Close()
		served.Wait()
	})
	return p
}

// URL returns the address as redisstore.NewClient takes it.
func (p *Proxy) URL() string { return "redis://" + p.Addr }

// Delay makes every byte take d longer, in each direction.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Lose loses one in so many requests before they arrive, and one in so many replies:
// then the request was executed. 0 loses none. What comes later on the same
// connection is lost, too; half of the clients see the connection end, the others
// see nothing at all.
func (p *Proxy) Lose(requests, replies int) {
	p.requests.Store(int64(requests))
	p.replies.Store(int64(replies))
}

// Lost returns how many requests and replies have been lost.
func (p *Proxy) Lost() (requests, replies int) {
	return int(p.lostRequests.Load()), int(p.lostReplies.Load())
}

// Throttle lets each connection carry so many bytes a second in each direction. 0 ends
// it.
func (p *Proxy) Throttle(bytes int) { p.speed.Store(int64(bytes)) }

// Reset resets each connection when so many bytes of a reply have come through: then
// the request was executed. 0 ends it.
func (p *Proxy) Reset(bytes int) { p.bytes.Store(int64(bytes)) }

// Resets returns how many connections have been reset.
func (p *Proxy) Resets() int { return int(p.resets.Load()) }

// Accepted returns how many connections have been opened.
func (p *Proxy) Accepted() int { return int(p.accepted.Load()) }

// serve carries one connection until either side ends it.
func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	server, err := new(net.Dialer).DialContext(ctx, "tcp", p.target)
	if err != nil {
		_ = client.Close()
		return
	}
	hangUp := sync.OnceFunc(func() {
		_ = client.Close()
		_ = server.Close()
	})
	defer hangUp()
	stop := context.AfterFunc(ctx, hangUp)
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { p.carry(server, client, &p.requests, &p.lostRequests, nil, hangUp) })
	both.Go(func() {
		p.carry(client, server, &p.replies, &p.lostReplies, func() {
			if tcp, ok := client.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // what is closed now is reset
			}
			p.resets.Add(1)
			hangUp()
		}, hangUp)
	})
	both.Wait()
}

// A packet is what was read at once, and when it is due at the other end.
type packet struct {
	bytes []byte
	due   time.Time
}

// carry carries one direction. Reading goes on while packets are on their way, so
// that a delay does not narrow the line. With reset, Reset is heeded.
func (p *Proxy) carry(to io.Writer, from io.Reader, oneIn, lost *atomic.Int64, reset, hangUp func()) {
	defer hangUp()
	line := make(chan packet, 1024)
	var sent sync.WaitGroup
	sent.Go(func() {
		broken := false
		for packet := range line {
			if wait := time.Until(packet.due); wait > 0 {
				time.Sleep(wait)
			}
			if !broken && p.chance(oneIn.Load()) {
				broken = true
				lost.Add(1)
				if p.chance(2) {
					hangUp()
				}
			}
			if broken {
				continue
			}
			bytes := packet.bytes
			most := int(p.bytes.Load())
			cut := reset != nil && most > 0
			if cut {
				bytes = bytes[:min(most, len(bytes))]
			}
			if err := p.write(to, bytes); err != nil {
				broken = true
				hangUp()
			} else if cut {
				broken = true
				time.Sleep(time.Millisecond) // a reset takes along what was not read yet
				reset()
			}
		}
	})
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			line <- packet{append([]byte(nil), buffer[:n]...), time.Now().Add(time.Duration(p.delay.Load()))}
		}
		if err != nil {
			break
		}
	}
	close(line)
	sent.Wait()
}

// write writes as fast as the line is.
func (p *Proxy) write(to io.Writer, bytes []byte) error {
	for len(bytes) > 0 {
		n := len(bytes)
		if speed := int(p.speed.Load()); speed > 0 {
			n = min(n, max(1, speed/100))
			time.Sleep(time.Duration(n) * time.Second / time.Duration(speed))
		}
		if _, err := to.Write(bytes[:n]); err != nil {
			return err
		}
		bytes = bytes[n:]
	}
	return nil
}

// chance is true one time in n, never for 0.
func (p *Proxy) chance(n int64) bool {
	if n <= 0 {
		return false
	}
	p.random.Lock()
	defer p.random.Unlock()
	return p.random.Int64N(n) == 0
}
