package middleware

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP returns a KeyFunc that takes the client's address. Without arguments it
// finds the bucket that a request without a key gets, and trusts whom
// [Config.TrustedProxies] trusts; with arguments it trusts those alone.
//
// The address is the address of the peer, [http.Request.RemoteAddr]: headers can be
// forged. If the peer is in one of the trusted prefixes, X-Forwarded-For is walked
// from the right, from the nearest hop to the farthest, up to the first hop that is
// not trusted. That one is the client. A hop that does not parse ends the walk, and
// the hop before it counts as the client. Trust only the addresses of your own
// proxies: whoever connects from a trusted address can name any other.
//
// IPv4-mapped addresses count as IPv4, an IPv6 client is known by its /64, without
// the zone, and all requests without an address (from Unix sockets, say) share one
// bucket.
func ClientIP(trusted ...netip.Prefix) KeyFunc {
	mark := addressMark
	if len(trusted) == 0 {
		mark = peerMark // RateLimit knows whom to trust
	}
	p := newProxies(trusted)
	return func(r *http.Request) string {
		var space [128]byte
		b := appendAddressKey(append(space[:0], mark...), p.clientAddr(r))
		return string(append(b, addressMark...)) // or what is appended could make it another address
	}
}

// AddressKey returns the key by which a limiter behind [RateLimit] knows a client
// that is limited by its address: see [BucketKey]. The zero Addr stands for all
// clients without one. It is not for a KeyFunc to return: there it would be a key
// like any other, which a caller can send, too.
func AddressKey(a netip.Addr) string {
	var space [64]byte
	return string(appendAddressKey(space[:0], a))
}

// IsAddressKey tells whether a key that a limiter is asked about is that of an
// address, and not what a caller gave as its key. It is for [ratelimit.Limits] that
// hold callers without a key to another policy.
func IsAddressKey(key string) bool { return strings.HasPrefix(key, addressPrefix) }

// appendAddressKey appends " ip 192.0.2.1", " ip 2001:db8::/64" or " ip unknown".
func appendAddressKey(b []byte, a netip.Addr) []byte {
	b = append(b, addressPrefix...)
	a = a.Unmap().WithZone("")
	switch {
	case a.Is4():
		return a.AppendTo(b)
	case a.Is6():
		return netip.PrefixFrom(a, 64).Masked().AppendTo(b)
	default:
		return append(b, "unknown"...)
	}
}

// proxies are the prefixes whose X-Forwarded-For is believed.
type proxies []netip.Prefix

// newProxies makes IPv4-mapped prefixes into IPv4 ones, as is done with addresses.
func newProxies(trusted []netip.Prefix) proxies {
	p := slices.Clone(trusted)
	for i, t := range p {
		if t.Addr().Is4In6() && t.Bits() >= 96 {
			p[i] = netip.PrefixFrom(t.Addr().Unmap(), t.Bits()-96)
		}
	}
	return p
}

func (p proxies) contain(a netip.Addr) bool {
	for _, t := range p {
		if t.Contains(a) {
			return true
		}
	}
	return false
}

// clientAddr returns the zero Addr if the peer's address does not parse.
func (p proxies) clientAddr(r *http.Request) netip.Addr {
	client := parsePeer(r.RemoteAddr)
	if len(p) == 0 {
		return client
	}
	// Several lines of a header are one list, in their order: RFC 9110, 5.3.
	for _, rest := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for more := true; more; {
			if !p.contain(client) {
				return client
			}
			var hop string
			if comma := strings.LastIndexByte(rest, ','); comma >= 0 {
				rest, hop = rest[:comma], rest[comma+1:]
			} else {
				hop, more = rest, false
			}
			next := parseHop(trimSpace(hop))
			if !next.IsValid() {
				return client
			}
			client = next
		}
	}
	return client
}

// parsePeer reads http.Request.RemoteAddr, which has a port unless a middleware
// has replaced it.
func parsePeer(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return parseAddr(s)
}

// parseHop reads a hop of X-Forwarded-For. Some proxies write a port, too.
func parseHop(s string) netip.Addr {
	if len(s) > 64 { // more than any address with a port; an error would quote it
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
