package address_test

import (
	"net/netip"
	"testing"

	"github.com/keyrate/keyrate/middleware/internal/address"
)

// TestClient: the key of the client's address, without an HTTP request.
func TestClient(t *testing.T) {
	proxies := address.NewProxies([]netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}, true, "")
	for _, c := range []struct{ peer, forwarded, want string }{
		{"192.0.2.1:1", "203.0.113.7", " ip 192.0.2.1"},
		{"10.0.0.1:1", "203.0.113.7", " ip 203.0.113.7"},
		{"@", "2001:db8::9", " ip 2001:db8::/64"},
		{"pipe", "203.0.113.7", " ip unknown"},
	} {
		client, ok := proxies.Client(c.peer, map[string][]string{"X-Forwarded-For": {c.forwarded}})
		if key := address.Key(client); !ok || key != c.want || !address.IsKey(key) {
			t.Errorf("%s for %s: %q, %v; want %q", c.peer, c.forwarded, key, ok, c.want)
		}
	}
	single := address.NewProxies([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, false, "X-Real-Ip")
	if _, ok := single.Client("10.0.0.1:1", map[string][]string{"X-Real-Ip": {"192.0.2.1", "192.0.2.2"}}); ok {
		t.Error("two addresses are not reported")
	}
}
