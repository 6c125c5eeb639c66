package redis

import (
	"context"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A link is a long way to a server: whatever enters at one end comes out at the
// other after a delay, in both directions, and however much it is. Each connection
// to its address is one to the server.
type link struct {
	address  string
	server   string // a socket's path
	delay    time.Duration
	listener net.Listener
	procs    int // of the process before
	there    chan parcel
	back     chan parcel

	mu   sync.Mutex
	ends []net.Conn
}

// A parcel is bytes under way. Without bytes it is the end of the connection.
type parcel struct {
	due   time.Time
	to    net.Conn
	bytes []byte
}

// inTransit is how many parcels can be under way at once: more than there can be
// connections, as each has at most one request or answer on the link.
const inTransit = 1 << 14

// startLink opens a link to a server on a socket.
func startLink(ctx context.Context, server string, delay time.Duration) (*link, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l := &link{
		address: listener.Addr().String(), server: server, delay: delay, listener: listener,
		there: make(chan parcel, inTransit), back: make(chan parcel, inTransit),
	}
	// A goroutine that sleeps in the system keeps a P of the runtime for up to 10 ms. Two
	// more let others read in that time.
	l.procs = runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(l.procs + 2)
	go deliver(l.there) // until the process ends
	go deliver(l.back)
	go l.accept(ctx)
	return l, nil
}

func (l *link) accept(ctx context.Context) {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		far, err := (&net.Dialer{}).DialContext(ctx, "unix", l.server)
		if err != nil {
			_ = near.Close()
			continue
		}
		l.mu.Lock()
		l.ends = append(l.ends, near, far)
		l.mu.Unlock()
		go l.collect(near, far, l.there)
		go l.collect(far, near, l.back)
	}
}

// collect puts on the way what it reads.
func (l *link) collect(from, to net.Conn, way chan<- parcel) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		due := time.Now().Add(l.delay)
		if n > 0 {
			way <- parcel{due, to, append([]byte(nil), buffer[:n]...)}
		}
		if err != nil {
			way <- parcel{due: due, to: to}
			return
		}
	}
}

// deliver hands out parcels when they are due. All have the same delay, so that
// they are due in the order in which they came. It sleeps in the system: the
// runtime's timers are late by up to a millisecond.
func deliver(way <-chan parcel) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for p := range way {
		for wait := time.Until(p.due); wait > 0; wait = time.Until(p.due) {
			pause := syscall.NsecToTimespec(int64(wait))
			_ = syscall.Nanosleep(&pause, nil) // interrupted: once more
		}
		if p.bytes == nil {
			_ = p.to.Close()
			continue
		}
		_, _ = p.to.Write(p.bytes) // the reader of this end finds out if it is closed
	}
}

// close ends the link and all connections over it. What is under way is lost.
func (l *link) Close() error {
	runtime.GOMAXPROCS(l.procs)
	err := l.listener.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, end := range l.ends {
		_ = end.Close()
	}
	return err
}
