package plans_test

import (
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// addressesAsKeys are keys that match nothing: a table does not know of addresses.
var addressesAsKeys = []string{
	"192.0.2.0/24", "10.1.2.3", "2001:db8::/32", "2001:db8::1", "::1", "::/0", "0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32", "10.1.2.3/8", "fe80::1%eth0", "::ffff:192.0.2.1", "64:ff9b::808:808",
	"10.1.2.3:8080", "[2001:db8::1]:443", "[2001:db8::1]", " 10.1.2.3", "10.1.2.3 ", "192.0.2.*", "192.0.*.*", "192.0.2.0/255.255.255.0", "192.0.2.1-192.0.2.9", "192.0.2.1 - 192.0.2.9",
	"ip 192.0.2.1", " ip 192.0.2.0/24", " ip 2001:db8::1", " ip 2001:db8::/32", " ip 2001:db8::1/64", " ip ::ffff:192.0.2.1", " ip 192.0.2.1:80", "  ip 192.0.2.1", " ip 2001:DB8::/64",
	"[fe80::1%wlan]:443", "fe80::1%Gi0-x", "\u00a010.1.2.3", "10.1.2.3\r\n",
}

// TestTableRejectsAddresses as keys, and says how to limit a client by its address.
func TestTableRejectsAddresses(t *testing.T) {
	plan, err := ratelimit.ParsePolicy("7/s")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range addressesAsKeys {
		for place, config := range map[string]plans.TableConfig{
			"TableConfig.Keys[sha256:":    {Default: plan, Keys: map[string]*ratelimit.Policy{key: ratelimit.Unlimited}},
			"TableConfig.Members[sha256:": {Default: plan, Plans: map[string]*ratelimit.Policy{"gold": plan}, Members: map[string]string{key: "gold"}},
		} {
			table, err := plans.NewTable(config)
			if table != nil || len(ratelimit.Faults(err)) != 1 || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), `"an address" must be an API key`) || !strings.Contains(err.Error(), "LimitsFunc") {
				t.Errorf("%q: %v", key, err)
				continue
			}
			if bare := strings.TrimSpace(key); bare != "::1" && strings.Contains(strings.ReplaceAll(strings.ReplaceAll(err.Error(), " ip 192.0.2.1", ""), " ip 2001:db8::/64", ""), bare) {
				t.Errorf("%q is shown: %v", key, err)
			}
		}
	}
}

// TestTableTakesKeysNearAddresses: what AddressKey returns, the hash of an address, and
// keys that have some of the form of an address.
func TestTableTakesKeysNearAddresses(t *testing.T) {
	config := plans.TableConfig{Default: ratelimit.Unlimited, Keys: map[string]*ratelimit.Policy{}}
	for _, key := range []string{
		" ip 192.0.2.1", " ip 2001:db8::/64", " ip ::/64", " ip unknown", ratelimit.HashKey("10.1.2.3"),
		"customer-17", "10.1.2", "1.2.3.4.5", "300.1.2.3", "v1.2.3.4", "10.1.2.3-prod", "user@192.0.2.1", "abc:def", "cafe:babe", "12:34:56:78", "a.b.c.d", "https://192.0.2.1/", "deadbeef", "12345", "sk_live.10", "",
	} {
		config.Keys[key] = ratelimit.Unlimited
	}
	if _, err := plans.NewTable(config); err != nil {
		t.Error(err)
	}
}
