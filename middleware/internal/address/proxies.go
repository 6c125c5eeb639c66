package address

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
)

// Proxies are the peers that may name the address of a client: see middleware.Config. The
// zero value trusts no peer.
type Proxies struct {
	prefixes []netip.Prefix
	unix     bool   // peers without an address, too
	header   string // where they name it, in canonical form; "" means X-Forwarded-For
}

// NewProxies returns Proxies that trust the peers in prefixes, which must have no Fault,
// and, if unix is set, peers without an address. They name the client in header, whose name
// is in canonical form; "" means X-Forwarded-For.
func NewProxies(prefixes []netip.Prefix, unix bool, header string) Proxies {
	unmapped := make([]netip.Prefix, len(prefixes))
	for i, p := range prefixes {
		unmapped[i] = unmap(p)
	}
	return Proxies{unmapped, unix, header}
}

// unmap makes an IPv4-mapped prefix into an IPv4 one, as is done with addresses.
func unmap(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p
}

// Fault returns what a prefix to trust must be instead, or "". The widest prefixes whose
// addresses can all be a program's own proxies are 10.0.0.0/8 and fc00::/7.
func Fault(p netip.Prefix) string {
	if !p.IsValid() {
		return `must be a prefix, such as netip.MustParsePrefix("10.0.0.0/8")`
	}
	shortest := 7
	if p = unmap(p); p.Addr().Is4() {
		shortest = 8
	}
	if p.Bits() < shortest {
		return "must hold the addresses of your own proxies and no others, so at least /8 of IPv4 or /7 of IPv6: a trusted peer can name any address"
	}
	return ""
}

// trust reports whether to trust a peer or a hop with the address a. The zero Addr is that
// of a peer without one.
func (p *Proxies) trust(a netip.Addr) bool {
	return !a.IsValid() || slices.ContainsFunc(p.prefixes, func(t netip.Prefix) bool { return t.Contains(a) })
}

// How much is read at most of the headers with hops.
const (
	mostHops  = 100
	mostBytes = 8 << 10
)

// Client returns the address of the client, or the zero Addr if it has none. peer is the
// address and port of the peer, as in net/http. Client returns false if a trusted peer
// names several addresses where one is right.
func (p *Proxies) Client(peer string, header map[string][]string) (client netip.Addr, ok bool) {
	client = parsePeer(peer)
	if !p.believe(client, isUnixPeer(peer)) {
		return client, true
	}
	return p.named(client, header[cmp.Or(p.header, forwardedFor)])
}

// ClientOf is Client for a server that does not have the address as text, nor the headers as
// a map. peer is the zero Addr if the peer has no address, and unix reports whether that is
// since it is on a Unix socket. lines returns the lines of a header, and is called only if the
// peer is trusted.
func (p *Proxies) ClientOf(peer netip.Addr, unix bool, lines func(name string) []string) (client netip.Addr, ok bool) {
	client = peer.Unmap().WithZone("")
	if !p.believe(client, unix) {
		return client, true
	}
	return p.named(client, lines(cmp.Or(p.header, forwardedFor)))
}

// believe reports whether a peer may name the client.
func (p *Proxies) believe(peer netip.Addr, unix bool) bool {
	return (peer.IsValid() || p.unix && unix) && p.trust(peer)
}

// named returns the client that a trusted peer names in the lines of the header.
func (p *Proxies) named(peer netip.Addr, lines []string) (client netip.Addr, ok bool) {
	switch p.header {
	case "", forwardedFor:
		return p.walk(peer, lines, nextForwardedFor), true
	case forwarded:
		return p.walk(peer, lines, nextForwarded), true
	}
	return single(peer, lines)
}

// The headers with a list of hops; all others hold one address.
const (
	forwardedFor = "X-Forwarded-For"
	forwarded    = "Forwarded"
)

// walk goes from hop to hop, as long as the last one is trusted. The lines of a header are
// one list, in their order: RFC 9110, section 5.3.
func (p *Proxies) walk(client netip.Addr, lines []string, next func(string) (netip.Addr, string, bool)) netip.Addr {
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

// nextForwardedFor parses the last hop of a list, and returns the rest in front of it.
func nextForwardedFor(list string) (hop netip.Addr, rest string, more bool) {
	i := strings.LastIndexByte(list, ',')
	return parseHop(trim(list[i+1:])), list[:max(i, 0)], i >= 0
}

// single parses a header with one address. If there are several, a proxy has added a line
// instead of replacing what its client sent, and we cannot know which one is the proxy's.
func single(peer netip.Addr, lines []string) (client netip.Addr, ok bool) {
	if len(lines) == 0 {
		return peer, true
	}
	value := lines[0][:min(len(lines[0]), mostBytes)]
	if len(lines) > 1 || strings.Contains(value, ",") {
		return peer, false
	}
	if client = parseHop(trim(value)); !client.IsValid() {
		return peer, true
	}
	return client, true
}
