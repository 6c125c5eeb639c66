package address

import (
	"encoding/binary"
	"net"
)

// Connection returns a string that is the same for all calls of a peer on one connection. It is
// no address for people: making the one of TCP takes long.
func Connection(peer net.Addr) string {
	a, ok := peer.(*net.TCPAddr)
	if !ok {
		return peer.String()
	}
	var space [64]byte
	return string(binary.BigEndian.AppendUint16(append(space[:0], a.IP...), uint16(a.Port))) //nolint:gosec // a port fits
}
