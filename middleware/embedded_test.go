package middleware_test

import (
	"net/http"
	"net/netip"
	"testing"

	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
)

// TestEmbeddedIPv4: an IPv6 address that was made from an IPv4 address has the bucket of
// that one, and no other address has.
func TestEmbeddedIPv4(t *testing.T) {
	for address, want := range map[string]string{
		// NAT64 with the well-known prefix, and those next to it.
		"64:ff9b::808:808":     "8.8.8.8",
		"64:ff9b::909:909":     "9.9.9.9",
		"64:ff9b::192.0.2.33":  "192.0.2.33",
		"64:ff9b::10.1.2.3":    "10.1.2.3",
		"64:ff9b::1:808:808":   "64:ff9b::/64",
		"64:ff9b:0:0:1::808":   "64:ff9b::/64",
		"64:ff9a::808:808":     "64:ff9a::/64",
		"64:ff9c::808:808":     "64:ff9c::/64",
		"64:ff9b::808:808%en0": "8.8.8.8",
		// NAT64 with a prefix of the network's own, of each length that RFC 6052 has.
		"64:ff9b:1::192.0.2.33":           "192.0.2.33",
		"64:ff9b:1:fffe:0:7:808:808":      "8.8.8.8",
		"64:ff9b:1:fffe::808:808":         "8.8.8.8",
		"64:ff9b:1:abcd:0012:3456:c000:2": "192.0.0.2",           // /96
		"64:ff9b:1:abcd:0112:3456:c000:2": "64:ff9b:1:abcd::/64", // bits 64 to 71 must be 0
		"64:ff9b:1:c000:2:2100::":         "192.0.2.33",          // /48
		"64:ff9b:1:33c0:0:221::":          "192.0.2.33",          // /56
		"64:ff9b:1:3344:c0:2:2100:0":      "192.0.2.33",          // /64
		"64:ff9b:2::192.0.2.33":           "64:ff9b:2::/64",
		// SIIT, IPv4-compatible and IPv4-mapped.
		"::ffff:0:192.0.2.33":   "192.0.2.33",
		"::ffff:0:0:192.0.2.33": "0:0:0:ffff::/64",
		"::fffe:0:192.0.2.33":   "::/64",
		"::192.0.2.33":          "192.0.2.33",
		"::ffff:192.0.2.33":     "192.0.2.33",
		"::":                    "::/64",
		"::1":                   "::/64",
		"::1:192.0.2.33":        "::/64",
		// 6to4.
		"2002:c000:221::":          "192.0.2.33",
		"2002:c000:221:7::1":       "192.0.2.33",
		"2002:c000:222:ffff::1":    "192.0.2.34",
		"2003:c000:221::1":         "2003:c000:221::/64",
		"2002:0a00:1::1":           "2002:a00:1::/64",  // private
		"2002:7f00:1::1":           "2002:7f00:1::/64", // loopback
		"2002:e000:1::1":           "2002:e000:1::/64", // multicast
		"2002::1":                  "2002::/64",        // none
		"64:ff9b::127.0.0.1":       "64:ff9b::/64",     // loopback
		"64:ff9b::0.0.0.7":         "64:ff9b::/64",     // none
		"64:ff9b::255.255.255.255": "64:ff9b::/64",     // broadcast
		"::ffff:0:127.0.0.1":       "::/64",            // loopback
		"64:ff9b:1::":              "64:ff9b:1::/64",   // none
		// Teredo: by the client (the last 32 bits, inverted), not by the server.
		"2001:0:4136:e378:8000:63bf:3fff:fdd2": "192.0.2.45",
		"2001:0:4136:e378:8000:63bf:3fff:fdd1": "192.0.2.46",
		"2001:0:4136:e378::f5ff:fffe":          "2001:0:4136:e378::/64", // private
		"2001:1:4136:e378:8000:63bf:3fff:fdd2": "2001:1:4136:e378::/64",
		// ISATAP: any host could choose the interface identifier of another's IPv4 address.
		"2001:db8::5efe:192.0.2.33":     "2001:db8::/64",
		"2001:db8::200:5efe:192.0.2.33": "2001:db8::/64",
		"fe80::5efe:192.0.2.33":         "fe80::/64",
		// Nothing inside.
		"2001:db8::192.0.2.33":       "2001:db8::/64",
		"2001:db8:1:2:c000:221::":    "2001:db8:1:2::/64",
		"fd00::192.0.2.33":           "fd00::/64",
		"2606:4700:10::ffff:808:808": "2606:4700:10::/64",
	} {
		if got := middleware.AddressKey(netip.MustParseAddr(address)); got != " ip "+want {
			t.Errorf("%s: %q, want %q", address, got, " ip "+want)
		}
		peer := netip.AddrPortFrom(netip.MustParseAddr(address), 443).String()
		if got := addressOf(t, middleware.ClientIP(), call{peer: peer}); got != " ip "+want {
			t.Errorf("peer %s: %q, want %q", peer, got, " ip "+want)
		}
	}
}

// TestNAT64ClientsAreApart: one call each, whichever way they come.
func TestNAT64ClientsAreApart(t *testing.T) {
	config := quiet(middleware.Config{TrustedProxies: prefixes("10.0.0.0/8")})
	h := middleware.Must(middleware.RateLimit(newLimiter(t, ratelimit.PerHour(1), ratelimit.Config{}), config))(hello)
	for _, step := range []struct {
		peer, forwarded string
		want            int
	}{
		{"[64:ff9b::808:808]:1", "", http.StatusOK},
		{"[64:ff9b::909:909]:1", "", http.StatusOK},
		{"[64:ff9b::808:808]:2", "", http.StatusTooManyRequests},
		{"8.8.8.8:1", "", http.StatusTooManyRequests}, // the same client
		{"10.0.0.1:1", "64:ff9b::909:909", http.StatusTooManyRequests},
		{"10.0.0.1:1", "2002:c000:221::1", http.StatusOK},
		{"10.0.0.1:1", "192.0.2.33", http.StatusTooManyRequests},
	} {
		c := call{peer: step.peer}
		if step.forwarded != "" {
			c.header = http.Header{"X-Forwarded-For": {step.forwarded}}
		}
		wantStatus(t, h, c, step.want)
	}
}

// TestEmbeddedIPv4IsNotTrusted: an IPv6 peer does not become a trusted proxy by the IPv4
// address in its own.
func TestEmbeddedIPv4IsNotTrusted(t *testing.T) {
	for peer, want := range map[string]string{
		"64:ff9b::10.0.0.1":   " ip 10.0.0.1",
		"2002:c000:221::1":    " ip 192.0.2.33",
		"::ffff:0:10.0.0.1":   " ip 10.0.0.1",
		"::10.0.0.1":          " ip 10.0.0.1",
		"64:ff9b:1::10.0.0.1": " ip 10.0.0.1",
	} {
		c := call{peer: "[" + peer + "]:1", header: http.Header{"X-Forwarded-For": {"203.0.113.7"}}}
		if got := addressOf(t, middleware.ClientIP(prefixes("10.0.0.0/8", "192.0.2.0/24")...), c); got != want {
			t.Errorf("%s: %q, want %q", peer, got, want)
		}
	}
}
