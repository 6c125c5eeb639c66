package chaos

import (
	"fmt"
	"net"
	"testing"
)

// freePort returns a port that the kernel says is free. The port 10000 above it is
// free, too: that is where a node of a Cluster talks to the others.
func freePort(tb testing.TB) int {
	tb.Helper()
	for range 1000 {
		port, ok := listenOnce(tb, 0)
		if !ok || port+10000 > 65535 {
			continue
		}
		if _, ok := listenOnce(tb, port+10000); ok {
			return port
		}
	}
	tb.Fatal("no free port was found")
	return 0
}

// listenOnce tells whether a port is free; of 0 the kernel makes one that is.
func listenOnce(tb testing.TB, port int) (int, bool) {
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, false
	}
	defer l.Close()
	tcp, ok := l.Addr().(*net.TCPAddr)
	return tcp.Port, ok
}
