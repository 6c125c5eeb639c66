package address

import "net/netip"

// embeddedIPv4 returns the IPv4 address from which a translator or a tunnel made the IPv6
// address a, or else a itself. Without it, all IPv4 clients behind a NAT64 would share the
// bucket of one /64.
//
// The owner of a must not be able to choose the IPv4 address: the network must return
// packets for a to the owner of that IPv4 address. This excludes ISATAP (RFC 5214), whose
// IPv4 address is in the interface identifier, which a host chooses freely in its /64.
func embeddedIPv4(a netip.Addr) netip.Addr {
	b := a.As16()
	var v4 [4]byte
	public := false // RFC 3056 and RFC 4380 exclude private IPv4 addresses
	switch {
	case hasPrefix(b, 0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0): // NAT64, RFC 6052
		v4 = [4]byte(b[12:])
	case hasPrefix(b, 0x00, 0x64, 0xff, 0x9b, 0, 1) && b[8] == 0: // NAT64 of the network's own, RFC 8215
		v4 = localNAT64(b)
	case hasPrefix(b, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0): // IPv4-translated, SIIT (RFC 2765)
		v4 = [4]byte(b[12:])
	case hasPrefix(b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0): // IPv4-compatible, RFC 4291, 2.5.5.1
		v4 = [4]byte(b[12:])
	case hasPrefix(b, 0x20, 0x02): // 6to4, RFC 3056
		v4, public = [4]byte(b[2:]), true
	case hasPrefix(b, 0x20, 0x01, 0, 0): // Teredo, RFC 4380: of the client, its bits inverted
		v4, public = [4]byte{^b[12], ^b[13], ^b[14], ^b[15]}, true
	}
	client := netip.AddrFrom4(v4)
	// No client has 0/8, 127/8 or 224/3: ::1, for one, is not an IPv4 address.
	if v4[0] == 0 || v4[0] == 127 || v4[0] >= 224 || public && client.IsPrivate() {
		return a
	}
	return client
}

// localNAT64 returns the IPv4 address in an address below 64:ff9b:1::/48. The network
// chooses a prefix of 48, 56, 64 or 96 bits (RFC 6052, section 2.2). With the shorter ones,
// zeros follow the IPv4 address.
func localNAT64(b [16]byte) [4]byte {
	switch zero := [5]byte{}; {
	case [5]byte(b[11:]) == zero:
		return [4]byte{b[6], b[7], b[9], b[10]}
	case [4]byte(b[12:]) == [4]byte(zero[:]):
		return [4]byte{b[7], b[9], b[10], b[11]}
	case [3]byte(b[13:]) == [3]byte(zero[:]):
		return [4]byte{b[9], b[10], b[11], b[12]}
	default:
		return [4]byte(b[12:])
	}
}

func hasPrefix(b [16]byte, prefix ...byte) bool { return string(b[:len(prefix)]) == string(prefix) }
