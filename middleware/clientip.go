package middleware

import (
	"fmt"
	"net/http"
	"net/netip"

	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// ClientIP returns a Key that is the client's address. Without arguments it is the zero
// Key, and trusts the proxies that the Config does: see [Config.TrustedProxies]. With
// arguments it trusts the X-Forwarded-For of those alone.
//
// The address is that of the peer, [http.Request.RemoteAddr], because headers can be
// forged. If the peer is in one of the trusted prefixes, X-Forwarded-For is read from the
// right, from the nearest hop to the farthest, up to the first hop that is not trusted:
// that one is the client. A hop that does not parse ends the walk, and so does the end of
// the 100 hops and 8 KiB that are read; the hop before is the client. Trust only the
// addresses of your own proxies: a trusted peer can name any address. A prefix that is too
// wide is an error of [RateLimit].
//
// See [AddressKey] for the addresses that share a bucket.
func ClientIP(trusted ...netip.Prefix) Key {
	if len(trusted) == 0 {
		return Key{}
	}
	own := address.NewProxies(trusted, false, "")
	key := Key{find: func(r *http.Request, _ *address.Proxies) (string, error) { return addressOf(r, &own) }}
	for i, t := range trusted {
		if want := address.Fault(t); want != "" {
			key.faults = append(key.faults, fmt.Errorf("ClientIP: trusted[%d] %v %s", i, t, want))
		}
	}
	return key
}

// addressOf returns the key of the client's address, or gate.ErrAddresses.
func addressOf(r *http.Request, trusted *address.Proxies) (string, error) {
	client, ok := trusted.Client(r.RemoteAddr, r.Header)
	if !ok {
		return "", gate.ErrAddresses
	}
	return address.Key(client), nil
}

// AddressKey returns the key that a limiter behind [RateLimit] gets for a client that is
// limited by its address: see [BucketKey]. A [KeyFunc] must not return it: there it is a key
// like any other, which a client can send, too.
//
// An IPv6 address counts by its /64, without the zone. An IPv6 address that a translator
// or a tunnel made from an IPv4 address counts as the latter: IPv4-mapped and -compatible
// addresses, SIIT (::ffff:0:192.0.2.1), NAT64 with 64:ff9b::/96 or with a prefix below
// 64:ff9b:1::/48, 6to4, and Teredo by its client. So only a client that receives packets
// for an IPv4 address can use its bucket. ISATAP addresses and those of a NAT64 with a
// network-specific prefix count as IPv6. The zero Addr stands for all clients without an
// address, such as those of a Unix socket: they share one bucket.
func AddressKey(a netip.Addr) string {
	return address.Key(a)
}

// IsAddressKey reports whether the key that a limiter gets is that of an address, and not
// one that a client sent. It is for [ratelimit.Limits] that return another policy for
// clients without a key.
func IsAddressKey(key string) bool { return address.IsKey(key) }
