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

// A Proxy is a network between a client and a server, on loopback. A test can make it bad
// while it is in use. Its methods are safe for concurrent use.
type Proxy struct {
	Addr string // 127.0.0.1:PORT

	target   string
	delay    atomic.Int64 // each way, in nanoseconds
	requests atomic.Int64 // one in this many is lost; 0: none
	replies  atomic.Int64
	speed    atomic.Int64 // in bytes per second; 0: without limit
	bytes    atomic.Int64 // of a reply before the connection is reset; 0: no reset
	random   struct {
		sync.Mutex
		*rand.Rand
	}

	accepted, lostRequests, lostReplies, resets atomic.Int64
}

// StartProxy starts a proxy in front of a server, such as Server.Addr. At first it only
// passes bytes on. With the same seed and the same order of calls it loses the same bytes.
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

// URL returns a URL for redisstore.NewClient.
func (p *Proxy) URL() string { return "redis://" + p.Addr }

// Delay delays every byte by d, in each direction.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Lose loses one in so many requests before they arrive, and one in so many replies, whose
// requests were executed. 0 loses none. All later bytes of the connection are lost, too.
// Half of these connections end; the others stay open in silence.
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

// Reset resets each connection after so many bytes of a reply, when the request was
// executed. 0 ends that.
func (p *Proxy) Reset(bytes int) { p.bytes.Store(int64(bytes)) }

// Resets returns the number of connections that were reset.
func (p *Proxy) Resets() int { return int(p.resets.Load()) }

// Accepted returns the number of connections that were opened.
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
				_ = tcp.SetLinger(0) // Close resets the connection
			}
			p.resets.Add(1)
			hangUp()
		}, hangUp)
	})
	both.Wait()
}

// A packet is the bytes of one read, and when they are due at the other end.
type packet struct {
	bytes []byte
	due   time.Time
}

// carry copies one direction. It reads while packets are under way, so that a delay does
// not limit the throughput. reset is nil for the direction that Reset does not affect.
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
				time.Sleep(time.Millisecond) // a reset discards bytes that were not read yet
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

// write writes at the speed of the line.
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

// chance returns true one time in n, and never for 0.
func (p *Proxy) chance(n int64) bool {
	if n <= 0 {
		return false
	}
	p.random.Lock()
	defer p.random.Unlock()
	return p.random.Int64N(n) == 0
}
