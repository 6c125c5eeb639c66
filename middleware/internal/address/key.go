// Package address finds the address of the client of a call, and its key for the limiter. It
// does not depend on net/http: headers are maps with canonical names.
package address

import (
	"net/netip"
	"strings"
)

// prefix is the prefix of the key of an address. A client's key never begins with a space.
const prefix = " ip "

// Key returns the key of an address: " ip 192.0.2.1", " ip 2001:db8::/64" or, for the zero
// Addr, " ip unknown". An IPv6 address counts by its /64 or, if it was made from an IPv4
// address, by that one.
func Key(a netip.Addr) string {
	var space [64]byte
	return string(appendKey(space[:0], a))
}

// IsKey reports whether key is the key of an address.
func IsKey(key string) bool { return strings.HasPrefix(key, prefix) }

func appendKey(b []byte, a netip.Addr) []byte {
	b = append(b, prefix...)
	a = a.Unmap().WithZone("")
	if a.Is6() {
		a = embeddedIPv4(a)
	}
	switch {
	case a.Is4():
		return a.AppendTo(b)
	case a.Is6():
		return netip.PrefixFrom(a, 64).Masked().AppendTo(b)
	default:
		return append(b, "unknown"...)
	}
}
