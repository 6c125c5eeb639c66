package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// ClientIP returns a Key that is the client's address. Without arguments it is the zero
// Key, and trusts the proxies that the Config does: see [Config.TrustedProxies]. With
// arguments it trusts the X-Forwarded-For of those alone.
//
// The address is the address of the peer, [http.Request.RemoteAddr]: headers can be
// forged. If the peer is in one of the trusted prefixes, X-Forwarded-For is walked
// from the right, from the nearest hop to the farthest, up to the first hop that is
// not trusted. That one is the client. A hop that does not parse ends the walk, and
// so do the hundredth hop and the 8 KiB that are read at most; the hop before counts
// as the client. Trust only the addresses of your own proxies: whatever connects from
// a trusted address can name any other. A prefix too wide for that is an error of
// [RateLimit].
//
// [AddressKey] says which addresses share a bucket.
func ClientIP(trusted ...netip.Prefix) Key {
	if len(trusted) == 0 {
		return Key{}
	}
	own := proxies{prefixes: unmapPrefixes(trusted)}
	key := Key{find: func(r *http.Request, _ *proxies) (string, error) { return own.key(r) }}
	for i, t := range trusted {
		if want := prefixFault(t); want != "" {
			key.faults = append(key.faults, fmt.Errorf("ClientIP: trusted[%d] %v %s", i, t, want))
		}
	}
	return key
}

// AddressKey returns the key by which a limiter behind [RateLimit] knows a client
// that is limited by its address: see [BucketKey]. A function for [KeyFunc] must not return
// it: there it would be a key like any other, which a client can send, too.
//
// An IPv6 client is known by its /64, without the zone. An IPv6 address that a translator
// or a tunnel made from an IPv4 address counts as that one: IPv4-mapped and -compatible
// addresses, SIIT (::ffff:0:192.0.2.1), NAT64 with 64:ff9b::/96 or with a prefix below
// 64:ff9b:1::/48, 6to4, and Teredo by its client. To get into another's IPv4 bucket in this way, a
// client must be able to receive packets for that IPv4 address. ISATAP addresses and those of a NAT64
// with a prefix of its network's own count as IPv6. The zero Addr stands for all clients
// without an address, such as those of a Unix socket: they share one bucket.
func AddressKey(a netip.Addr) string {
	var space [64]byte
	return string(appendAddressKey(space[:0], a))
}

// IsAddressKey reports whether a key that a limiter is asked about is that of an
// address, and not what a caller gave as its key. It is for [ratelimit.Limits] that
// hold callers without a key to another policy.
func IsAddressKey(key string) bool { return strings.HasPrefix(key, addressPrefix) }

// appendAddressKey appends " ip 192.0.2.1", " ip 2001:db8::/64" or " ip unknown".
func appendAddressKey(b []byte, a netip.Addr) []byte {
	b = append(b, addressPrefix...)
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

// proxies are those whose word on a client's address is taken.
type proxies struct {
	prefixes []netip.Prefix
	unix     bool   // peers without an address, too
	header   string // where they say it, in canonical form; "" means X-Forwarded-For
}

// errAddresses is for a request with several addresses, where one is right.
var errAddresses = errors.New("middleware: the request has more than one client address")

// key returns the key of the client's address, or errAddresses.
func (p *proxies) key(r *http.Request) (string, error) {
	client, ok := p.clientAddr(r)
	if !ok {
		return "", errAddresses
	}
	return AddressKey(client), nil
}

// unmapPrefixes makes IPv4-mapped prefixes into IPv4 ones, as is done with addresses.
func unmapPrefixes(trusted []netip.Prefix) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(trusted))
	for i, t := range trusted {
		prefixes[i] = unmapPrefix(t)
	}
	return prefixes
}

func unmapPrefix(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// prefixFault returns what a prefix to trust must be instead, or "". The widest prefixes
// whose addresses can all be a program's own proxies are 10.0.0.0/8 and fc00::/7.
func prefixFault(p netip.Prefix) string {
	if !p.IsValid() {
		return `must be a prefix, such as netip.MustParsePrefix("10.0.0.0/8")`
	}
	widest := 7
	if p = unmapPrefix(p); p.Addr().Is4() {
		widest = 8
	}
	if p.Bits() < widest {
		return "must hold the addresses of your own proxies and no others, so at least /8 of IPv4 or /7 of IPv6: a trusted peer can name any address"
	}
	return ""
}

// trust reports whether to believe a peer, or a hop, with the address a: the zero Addr is
// that of a peer without one.
func (p *proxies) trust(a netip.Addr) bool {
	return !a.IsValid() || slices.ContainsFunc(p.prefixes, func(t netip.Prefix) bool { return t.Contains(a) })
}

// What is read of the headers with the hops of a request, at most.
const (
	mostHops  = 100
	mostBytes = 8 << 10
)

// clientAddr returns the address of the client, the zero Addr if it has none. It returns
// false if a trusted peer gives several addresses where one is right.
func (p *proxies) clientAddr(r *http.Request) (client netip.Addr, ok bool) {
	client = parsePeer(r.RemoteAddr)
	switch {
	case !client.IsValid() && !(p.unix && isUnixPeer(r.RemoteAddr)), !p.trust(client):
		return client, true
	case p.header == "", p.header == headerForwardedFor:
		return p.walk(client, r.Header[headerForwardedFor], nextForwardedFor), true
	case p.header == headerForwarded:
		return p.walk(client, r.Header[headerForwarded], nextForwarded), true
	}
	return single(client, r.Header[p.header])
}

// The headers with a list of hops; all others hold one address.
const (
	headerForwardedFor = "X-Forwarded-For"
	headerForwarded    = "Forwarded"
)

// walk goes from hop to hop, as long as the last one is trusted. Several lines of a header
// are one list, in their order: RFC 9110, section 5.3.
func (p *proxies) walk(client netip.Addr, lines []string, next func(string) (netip.Addr, string, bool)) netip.Addr {
	hops, left := mostHops, mostBytes
	for _, rest := range slices.Backward(lines) {
		if left <= 0 {
			return client
		}
		if cut := len(rest) - left; cut > 0 {
			// What is read must begin with a whole hop, so the first one is left out.
			comma := strings.IndexByte(rest[cut:], ',')
			if comma < 0 {
				return client
			}
			rest, left = rest[cut+comma:], 0
		}
		left -= len(rest)
		for more := true; more; hops-- {
			if hops == 0 || !p.trust(client) {
				return client
			}
			var hop netip.Addr
			if hop, rest, more = next(rest); !hop.IsValid() {
				return client
			}
			client = hop
		}
	}
	return client
}

// nextForwardedFor reads the last hop of a list, and returns what is in front of it.
func nextForwardedFor(list string) (hop netip.Addr, rest string, more bool) {
	i := strings.LastIndexByte(list, ',')
	return parseHop(trimSpace(list[i+1:])), list[:max(i, 0)], i >= 0
}

// single reads a header that holds one address. Where a proxy adds a line instead of
// replacing what its client sent, it is not known which one is the proxy's.
func single(peer netip.Addr, lines []string) (client netip.Addr, ok bool) {
	if len(lines) == 0 {
		return peer, true
	}
	value := lines[0][:min(len(lines[0]), mostBytes)]
	if len(lines) > 1 || strings.Contains(value, ",") {
		return peer, false
	}
	if client = parseHop(trimSpace(value)); !client.IsValid() {
		return peer, true
	}
	return client, true
}

// isUnixPeer reports whether a RemoteAddr is that of a Unix socket: nothing or "@" for
// one without a name, as clients have, else an abstract name or a path.
func isUnixPeer(s string) bool { return s == "" || s[0] == '@' || s[0] == '/' }

// parsePeer reads http.Request.RemoteAddr, which has a port unless a middleware
// has replaced it.
func parsePeer(s string) netip.Addr {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone("")
	}
	return parseAddr(s)
}

// longestHop is the length of the longest address with a zone and a port that is read. An
// error of netip would quote more.
const longestHop = 64

// parseHop reads a hop of X-Forwarded-For. Some proxies write a port, too.
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
