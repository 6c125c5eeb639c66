package file

import (
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestTableWants: a key is an address here exactly where it is one to the table.
func TestTableWants(t *testing.T) {
	for _, key := range []string{
		"192.0.2.0/24", "10.1.2.3", "2001:db8::/32", "::1", "::/0", "fe80::1%eth0", "fe80::1%ÿ x", "fe80::1%eth0/64", "::ffff:192.0.2.1", "2001:DB8::1",
		"10.1.2.3:8080", "[2001:db8::1]:443", "[fe80::1%zone]:443", "[2001:db8::1]", " 10.1.2.3", "\u00a010.1.2.3\r\n", "10.1.2.3\t", "192.0.2.*", "192.0.2.0/255.255.255.0",
		"192.0.2.1-192.0.2.9", "192.0.2.1 - 192.0.2.9", "ip 192.0.2.1", "  ip 192.0.2.1", " ip 2001:db8::1",
		"sk.live.1234", "a.b", "dead.beef", "v1.2.3.4", "1.2.3", "10.1.2.3.4", "user:password", "x%1.2.3.4", " ip 192.0.2.1", " ip 2001:db8::/64",
	} {
		_, err := plans.NewTable(plans.TableConfig{Default: ratelimit.Unlimited, Keys: map[string]*ratelimit.Policy{key: ratelimit.Unlimited}})
		if got := tableWants(key) != ""; got != (err != nil) {
			t.Errorf("%q is an address: %v; to the table: %v", key, got, err)
		}
	}
}

// BenchmarkTableWants: keys with a dot in them are no slower to read than others.
func BenchmarkTableWants(b *testing.B) {
	for b.Loop() {
		tableWants("sk.live.4eC39HqLyjWDarjtT1zdp7dc")
	}
}
