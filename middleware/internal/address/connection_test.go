package address_test

import (
	"net"
	"testing"

	"github.com/keyrate/keyrate/middleware/internal/address"
)

// TestConnection: connections of two ports, addresses or networks differ.
func TestConnection(t *testing.T) {
	seen := map[string]bool{}
	for _, peer := range []net.Addr{
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 256},
		&net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 1}, &net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 1},
		&net.UnixAddr{Name: "/a", Net: "unix"}, &net.UnixAddr{Name: "@", Net: "unix"},
	} {
		c := address.Connection(peer)
		if seen[c] || c != address.Connection(peer) {
			t.Errorf("%v: %q", peer, c)
		}
		seen[c] = true
	}
}
