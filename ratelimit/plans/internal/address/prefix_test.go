package address

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

func TestCanonical(t *testing.T) {
	for key, want := range map[string]string{
		"192.0.2.1": " ip 192.0.2.1", "192.0.2.1/32": " ip 192.0.2.1", "::ffff:192.0.2.1": " ip 192.0.2.1",
		"2001:db8::1": " ip 2001:db8::/64", "2001:DB8:0::/64": " ip 2001:db8::/64", "192.0.2.0/24": "192.0.2.0/24", "2001:db8:0::/48": "2001:db8::/48", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
		"192.0.2.1/24": "", "2001:db8::/65": "", "2001:db8::1/128": "", "fe80::1%eth0": "", "::ffff:192.0.2.0/120": "", "192.0.2.1:80": "", "alice": "", " ip 192.0.2.1": "", "192.0.2.*": "", "a.b": "", "": "",
	} {
		if got, ok := Canonical(key); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", key, got, ok, want)
		}
	}
}

// TestLongest compares look-ups among random prefixes with a search of all.
func TestLongest(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	address := func() netip.Addr { // few first bits, so that prefixes lie in each other
		if rng.IntN(2) == 0 {
			return netip.AddrFrom4([4]byte{byte(rng.IntN(2)), byte(rng.IntN(4)), byte(rng.IntN(4)), byte(rng.IntN(256))})
		}
		return netip.AddrFrom16([16]byte{0x20, byte(rng.IntN(2)), 0, byte(rng.IntN(4)), 0, 0, byte(rng.IntN(4)), byte(rng.IntN(8)), 9: byte(rng.IntN(256))})
	}
	for range 50 {
		var m Map[netip.Prefix]
		var all []netip.Prefix
		for range 200 {
			a := address()
			most := 31
			if a.Is6() {
				most = 63
			}
			of := netip.PrefixFrom(a, rng.IntN(most+1)).Masked()
			p, ok := ParsePrefix(of.String())
			if !ok || p.String() != of.String() || p.Bits() != of.Bits() {
				t.Fatalf("%v is read as %v, %v", of, p, ok)
			}
			m.Set(p, of)
			all = append(all, of)
		}
		for range 500 {
			a := address()
			key, _ := Canonical(a.String())
			p, ok := ParseKey(key)
			if !ok {
				t.Fatalf("%q", key)
			}
			want := netip.Prefix{}
			for _, of := range all {
				if of.Contains(a) && (!want.IsValid() || of.Bits() > want.Bits()) {
					want = of
				}
			}
			if got, n, ok := m.Longest(p); got != want || ok != want.IsValid() || ok && n != want.Bits() {
				t.Fatalf("%v is in %v, %d; want %v", a, got, n, want)
			}
		}
	}
}

// TestKeysAreNoAddresses: of any other key nothing is parsed.
func TestKeysAreNoAddresses(t *testing.T) {
	for _, key := range []string{"192.0.2.1", "", " ip unknown", " sha256 x", "ip 192.0.2.1"} {
		if p, ok := ParseKey(key); ok {
			t.Errorf("%q: %v", key, p)
		}
	}
	for _, s := range []string{"192.0.2.1", "", "/", "192.0.2.1/24", "::ffff:1.2.3.0/120", " ip 2001:db8::/64", "2001:db8::/65"} {
		if p, ok := ParsePrefix(s); ok {
			t.Errorf("%q: %v", s, p)
		}
	}
}

// BenchmarkLongest: one address among 100,000 prefixes of 17 lengths.
func BenchmarkLongest(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	var m Map[int]
	for m.Len() < 100_000 {
		p, _ := ParsePrefix(netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(rng.IntN(224)), byte(rng.IntN(256)), byte(rng.IntN(256)), 0}), 8+rng.IntN(17)).Masked().String())
		m.Set(p, 1)
	}
	b.ReportAllocs()
	for b.Loop() {
		p, _ := ParseKey(" ip 203.0.113.7")
		m.Longest(p)
	}
}
