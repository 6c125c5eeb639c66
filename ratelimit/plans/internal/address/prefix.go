package address

import (
	"net/netip"
	"strings"
)

// keyPrefix is what middleware.AddressKey begins with. A client's key never begins with a space.
const keyPrefix = " ip "

// widest is the longest prefix by which IPv6 clients differ.
const widest = 64

// Canonical returns what a table has in place of a key that is an address or a prefix: the text of
// middleware.AddressKey for "192.0.2.1" and "2001:db8::1", whose /64 counts, and a prefix such as
// "192.0.2.0/24" in its usual spelling. ok is false for any other key.
func Canonical(key string) (canonical string, ok bool) {
	if !strings.ContainsAny(key, ".:") || len(key) > 50 { // most keys
		return "", false
	}
	if a, err := netip.ParseAddr(key); err == nil && a.Zone() == "" {
		if a = a.Unmap(); a.Is4() {
			return keyPrefix + a.String(), true
		}
		return keyPrefix + netip.PrefixFrom(a, widest).Masked().String(), true
	}
	p, err := netip.ParsePrefix(key)
	switch {
	case err != nil || p.Masked() != p || p.Addr().Is4In6():
		return "", false
	case p.Addr().Is4() && p.Bits() == 32:
		return keyPrefix + p.Addr().String(), true
	case p.Addr().Is6() && p.Bits() == widest:
		return keyPrefix + p.String(), true
	case p.Addr().Is6() && p.Bits() > widest:
		return "", false
	}
	return p.String(), true
}

// A Prefix is one of addresses: of IPv4, or of at most 64 bits of IPv6.
type Prefix struct {
	bits uint64 // the first ones, the others 0
	len  uint8
	v6   bool
}

// ParsePrefix reads a prefix that Canonical has returned. ok is false for any other text.
func ParsePrefix(s string) (p Prefix, ok bool) {
	if !strings.Contains(s, "/") || s[0] == ' ' {
		return p, false
	}
	of, err := netip.ParsePrefix(s)
	if err != nil || of.Masked() != of || of.Addr().Is6() && (of.Bits() > widest || of.Addr().Is4In6()) {
		return p, false
	}
	return from(of.Addr()).masked(uint8(of.Bits())), true
}

// ParseKey reads what middleware.AddressKey returns for an address. It allocates nothing.
func ParseKey(key string) (p Prefix, ok bool) {
	text, ok := strings.CutPrefix(key, keyPrefix)
	if !ok {
		return p, false
	}
	text = strings.TrimSuffix(text, "/64")
	a, err := netip.ParseAddr(text)
	if err != nil {
		return p, false
	}
	return from(a), true
}

// from returns the whole of an address, of IPv6 its /64.
func from(a netip.Addr) Prefix {
	b := a.As16()
	p := Prefix{len: widest, v6: true}
	begin := b[:8]
	if a.Is4() {
		begin, p.len, p.v6 = b[12:], 32, false
	}
	for i, c := range begin {
		p.bits |= uint64(c) << (56 - 8*i)
	}
	return p
}

// Masked returns the prefix of p with a length, which is at most that of p.
func (p Prefix) Masked(length int) Prefix { return p.masked(uint8(length)) }

func (p Prefix) masked(length uint8) Prefix {
	p.bits &^= ^uint64(0) >> length
	p.len = length
	return p
}

// String returns what Canonical does.
func (p Prefix) String() string {
	var b [16]byte
	size := 4
	if p.v6 {
		size = 16
	}
	for i := range min(size, 8) {
		b[i] = byte(p.bits >> (56 - 8*i))
	}
	a, _ := netip.AddrFromSlice(b[:size])
	return netip.PrefixFrom(a, int(p.len)).String()
}
