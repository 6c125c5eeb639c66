package file

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestAddresses: a file rejects a key as an address exactly where a table does.
func TestAddresses(t *testing.T) {
	for _, key := range []string{
		"192.0.2.0/24", "10.1.2.3", "2001:db8::/32", "::1", "::/0", "fe80::1%eth0", "fe80::1%ÿ x", "fe80::1%eth0/64", "::ffff:192.0.2.1", "2001:DB8::1",
		"10.1.2.3:8080", "[2001:db8::1]:443", "[fe80::1%zone]:443", "[2001:db8::1]", " 10.1.2.3", "\u00a010.1.2.3\r\n", "10.1.2.3\t", "192.0.2.*", "192.0.2.0/255.255.255.0",
		"192.0.2.1-192.0.2.9", "192.0.2.1 - 192.0.2.9", "ip 192.0.2.1", "  ip 192.0.2.1", " ip 2001:db8::1",
		"sk.live.1234", "a.b", "dead.beef", "v1.2.3.4", "1.2.3", "10.1.2.3.4", "user:password", "x%1.2.3.4", " ip 192.0.2.1", " ip 2001:db8::/64",
	} {
		_, err := plans.NewTable(plans.TableConfig{Default: ratelimit.Unlimited, Keys: map[string]*ratelimit.Policy{key: ratelimit.Unlimited}})
		quoted, _ := json.Marshal(key)
		_, got := Parse("limits.json", []byte(`{"default":"1/s","keys":{`+string(quoted)+`:"1/s"}}`))
		if (got != nil) != (err != nil) || got != nil && !strings.Contains(got.Error(), "found an address; must be an API key") {
			t.Errorf("%q: %v; in a table: %v", key, got, err)
		}
	}
}
