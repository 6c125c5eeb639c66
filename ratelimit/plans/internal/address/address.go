// Package address reads addresses and prefixes that are written where an API key belongs, and
// recognizes others, such as ranges, which tables and files reject.
package address

import (
	"net/netip"
	"strings"
)

// Want is the advice for a key that is meant as an address and is none that can be looked up.
const Want = `must be an API key, an address such as 192.0.2.1 or 2001:db8::1, or a prefix such as 192.0.2.0/24 or 2001:db8::/48, of IPv6 at most a /64, without a zone or a port and with zeros behind its length; ` +
	`an API key that looks like an address must be written as its sha256: hash`

// addressBytes are the bytes of addresses, prefixes and ranges, and of the "ip" before one.
const addressBytes = "0123456789abcdefABCDEFip.:/*-[] \t"

// Is reports whether a key of a table is an address, a prefix or a range of addresses.
// No caller has such a key: the author of the table expects it to match addresses. Those for which
// Canonical returns a key match. A text that middleware.AddressKey returns is not an address.
func Is(key string) bool {
	if !strings.ContainsAny(key, ".:") || len(key) > 100 { // most keys
		return false
	}
	// Checking the bytes first is faster than trying all forms for each key with a dot.
	bytes, _, _ := strings.Cut(key, "%") // a zone is any text
	if strings.Trim(strings.TrimSpace(bytes), addressBytes) != "" {
		return false
	}
	text := strings.TrimSpace(key)
	if address, ok := strings.CutPrefix(text, "ip "); ok {
		if known := " ip " + address; known == key {
			return isAddressText(address) && !isAddressKey(address)
		}
		text = strings.TrimSpace(address) // the first space is missing
	}
	return isAddressText(text)
}

// isAddressKey reports whether s is how middleware.AddressKey writes an address.
func isAddressKey(s string) bool {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Is4()
	}
	p, err := netip.ParsePrefix(s)
	return err == nil && p.Addr().Is6() && p.Bits() == 64 && p.Masked() == p && p.String() == s
}

// isAddressText reports whether s is an address with or without a port, a prefix with a length
// or a mask, a range, or an IPv4 address with stars.
func isAddressText(s string) bool {
	s = strings.NewReplacer("*", "0", " ", "").Replace(s)
	if isHost(s) {
		return true
	}
	if _, err := netip.ParsePrefix(s); err == nil {
		return true
	}
	for _, between := range []string{"/", "-"} {
		if first, second, found := strings.Cut(s, between); found && isHost(first) && isHost(second) {
			return true
		}
	}
	return false
}

func isHost(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok && strings.HasSuffix(inner, "]") {
		s = inner[:len(inner)-1]
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParseAddrPort(s)
	return err == nil
}
