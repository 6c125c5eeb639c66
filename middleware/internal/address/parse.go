package address

import (
	"net/netip"
	"strings"
)

// isUnixPeer reports whether a RemoteAddr is that of a Unix socket: "" or "@" for one
// without a name, as clients have, or else an abstract name or a path.
func isUnixPeer(s string) bool { return s == "" || s[0] == '@' || s[0] == '/' }

// parsePeer parses http.Request.RemoteAddr, which has a port unless another handler has
// replaced it.
func parsePeer(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return parseAddr(s)
}

// longestHop is the length of the longest address with a zone and a port that is parsed. An
// error of netip quotes its input.
const longestHop = 64

// parseHop parses a hop of X-Forwarded-For. Some proxies write a port, too.
func parseHop(s string) netip.Addr {
	if len(s) > longestHop {
		return netip.Addr{}
	}
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		s = inner[:len(inner)-1]
	}
	if a := parseAddr(s); a.IsValid() {
		return a
	}
	ap, _ := netip.ParseAddrPort(s)
	return ap.Addr().Unmap().WithZone("")
}

// parseAddr returns the zero Addr if s is not an address.
func parseAddr(s string) netip.Addr {
	a, _ := netip.ParseAddr(s)
	return a.Unmap().WithZone("")
}

// trim removes the optional whitespace of RFC 9110, section 5.6.3.
func trim(s string) string { return strings.Trim(s, " \t") }
