package plans_test

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// addressesAsKeys are keys that match nothing, though they are meant as addresses.
var addressesAsKeys = []string{
	"10.1.2.3/8", "fe80::1%eth0", "2001:db8::/65", "2001:db8::1/128", "2001:db8::1/48", "::ffff:192.0.2.0/120",
	"10.1.2.3:8080", "[2001:db8::1]:443", "[2001:db8::1]", " 10.1.2.3", "10.1.2.3 ", "192.0.2.*", "192.0.*.*", "192.0.2.0/255.255.255.0", "192.0.2.1-192.0.2.9", "192.0.2.1 - 192.0.2.9",
	"ip 192.0.2.1", " ip 192.0.2.0/24", " ip 2001:db8::1", " ip 2001:db8::/32", " ip 2001:db8::1/64", " ip ::ffff:192.0.2.1", " ip 192.0.2.1:80", "  ip 192.0.2.1", " ip 2001:DB8::/64",
	"[fe80::1%wlan]:443", "fe80::1%Gi0-x", "\u00a010.1.2.3", "10.1.2.3\r\n",
}

// TestTableRejectsAddresses that no client can have, and says how to write one.
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
			if table != nil || len(ratelimit.Faults(err)) != 1 || !strings.Contains(err.Error(), place) || !strings.Contains(err.Error(), `"an address" must be an API key`) || !strings.Contains(err.Error(), "192.0.2.0/24 or 2001:db8::/48") {
				t.Errorf("%q: %v", key, err)
				continue
			}
			shown := strings.NewReplacer("192.0.2.1", "", "192.0.2.0/24", "", "2001:db8::1", "", "2001:db8::/48", "").Replace(err.Error())
			if bare := strings.TrimSpace(key); strings.Contains(shown, bare) {
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

// TestAddresses: the longest prefix counts that an address is in, of the same the block, and
// nothing else than an address is looked up there.
func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := `{
  "default": "1/s",
  "plans": {"office": "2/s", "lab": "3/s", "v6": "4/s"},
  "members": {"198.51.100.0/24": "office", "198.51.100.7": "lab", "2001:db8::/48": "v6", "2001:db8:0:9::5": "lab"},
  "keys": {"10.0.0.0/8": "5/s", "10.9.0.0/16": "blocked"},
  "organisations": {"acme": {"limits": ["6/s", "9/h;name=org;shared"], "members": ["192.0.2.0/25"]}},
  "blocked": {"203.0.113.0/24": "blocked", "203.0.0.0/16": "blocked;until=2000-01-01T01:00:00Z", "198.51.100.7": "blocked;until=2000-01-01T01:00:00Z", "198.51.100.128/25": "blocked;until=2000-01-01T01:00:00Z", "10.0.0.0/8": "blocked;until=2000-01-01T01:00:00Z", "192.0.2.0/26": "blocked;until=2000-01-01T01:00:00Z"}
}`
		table := tableOf(t, text)
		var hashed bytes.Buffer
		if _, err := table.Snapshot().WriteTo(&hashed); err != nil {
			t.Fatal(err)
		}
		config, err := plans.NewTable(table.Config())
		if err != nil {
			t.Fatal(err)
		}
		tables := map[string]*plans.Table{"plain": table, "hashed": tableOf(t, hashed.String()), "config": config}
		check := func(want map[string]string) {
			t.Helper()
			for name, table := range tables {
				for key, want := range want {
					if got := textOf(t, table, key); got != want {
						t.Errorf("%s: %s has %s, want %s", name, key, got, want)
					}
				}
			}
		}
		check(map[string]string{
			" ip 198.51.100.1": "2/s", " ip 198.51.100.7": "blocked", " ip 198.51.100.200": "blocked", " ip 198.51.101.1": "1/s", " ip 203.0.113.9": "blocked", " ip 203.0.114.9": "blocked", " ip 203.1.0.0": "1/s",
			" ip 10.1.2.3": "blocked", " ip 10.9.1.1": "blocked", " ip 192.0.2.100": "6/s", " ip 192.0.2.1": "blocked", " ip 192.0.2.200": "1/s",
			" ip 2001:db8:0:5::/64": "4/s", " ip 2001:db8:0:9::/64": "3/s", " ip 2001:db9::/64": "1/s", " ip unknown": "1/s", "203.0.113.9": "1/s", "203.0.113.0/24": "1/s", "198.51.100.7": "1/s",
		})
		time.Sleep(time.Hour)
		check(map[string]string{
			" ip 198.51.100.7": "3/s", " ip 198.51.100.200": "2/s", " ip 203.0.113.9": "blocked", " ip 203.0.114.9": "1/s", " ip 10.1.2.3": "5/s", " ip 10.9.1.1": "blocked", " ip 192.0.2.1": "6/s",
		})
		for name, table := range tables {
			if of, ok := table.OrganisationOf(" ip 192.0.2.1"); of != "acme" || !ok {
				t.Errorf("%s: %q, %v", name, of, ok)
			}
			if p, ok := table.PlanOf(" ip 198.51.100.200"); p != "office" || !ok {
				t.Errorf("%s: %q, %v", name, p, ok)
			}
			members, keys := table.Snapshot().Count()
			if members["office"] != 1 || members["lab"] != 2 || keys != 2 || table.Snapshot().Organisations()["acme"].Keys != 1 || table.Snapshot().Blocked() != 1 {
				t.Errorf("%s: %v, %d, %v", name, members, keys, table.Snapshot().Organisations())
			}
			if err := table.Block("198.51.0.0/16", ratelimit.Block{}); err != nil {
				t.Error(err)
			}
			for key, want := range map[string]string{" ip 198.51.100.1": "2/s", " ip 198.51.99.1": "blocked"} {
				if got := textOf(t, table, key); got != want {
					t.Errorf("%s: %s has %s, want %s: the longest prefix counts", name, key, got, want)
				}
			}
			if _, ok := table.BlockOf("198.51.0.0/16"); !ok || table.Replace(configOf(t, text)) != nil || textOf(t, table, " ip 198.51.99.1") != "blocked" {
				t.Errorf("%s: the block of a prefix is lost", name)
			}
			if found, err := table.Unblock("198.51.0.0/16"); !found || err != nil || textOf(t, table, " ip 198.51.99.1") != "1/s" {
				t.Errorf("%s: %v, %v", name, found, err)
			}
		}
	})
}

// TestAddressTwice: an address that is written in two ways is there twice.
func TestAddressTwice(t *testing.T) {
	for _, text := range []string{
		`{"default": "1/s", "keys": {"192.0.2.1": "2/s", " ip 192.0.2.1": "2/s"}}`, `{"default": "1/s", "keys": {"192.0.2.1": "2/s", "192.0.2.1/32": "2/s"}}`,
		`{"default": "1/s", "plans": {"a": "2/s"}, "members": {"192.0.2.0/24": "a"}, "keys": {"192.0.2.0/24": "2/s"}}`,
	} {
		if _, err := plans.NewTable(configOf(t, text)); err == nil || !strings.Contains(err.Error(), "there twice") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// TestAddressAllocates: nothing.
func TestAddressAllocates(t *testing.T) {
	table := tableOf(t, `{"default": "1/s", "keys": {"198.51.0.0/16": "2/s", "2001:db8::/32": "2/s"}, "blocked": {"198.51.100.0/24": "blocked"}}`)
	for _, key := range []string{" ip 198.51.100.1", " ip 2001:db8:9::/64", "alice"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = table.PolicyFor(t.Context(), key) }); n != 0 {
			t.Errorf("%q: %v allocations", key, n)
		}
	}
}
