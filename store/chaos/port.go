package chaos

import (
	"fmt"
	"net"
	"testing"
)

// freePort returns a free port. The port 10000 above it is free, too: a node of a Cluster
// uses it for the other nodes.
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

// listenOnce reports whether a port is free. For 0 it returns a free port.
func listenOnce(tb testing.TB, port int) (int, bool) {
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return 0, false
	}
	defer l.Close()
	tcp, ok := l.Addr().(*net.TCPAddr)
	return tcp.Port, ok
}
