package middleware

import (
	"net/netip"
	"strings"
)

// nextForwarded reads the last element of the header Forwarded, RFC 7239, and returns what
// is in front of it. It reads from the right: what a client sent is on the left, and with a
// quotation mark that never ends it could hide what proxies appended.
func nextForwarded(list string) (hop netip.Addr, rest string, more bool) {
	rest, element, more := cutLast(list, ',')
	found := false
	for next := true; next; {
		var pair string
		element, pair, next = cutLast(element, ';')
		name, value, _ := strings.Cut(trimSpace(pair), "=")
		if !strings.EqualFold(name, "for") {
			continue
		}
		if found {
			return netip.Addr{}, rest, more // which of the two?
		}
		found = true
		if inner, ok := strings.CutPrefix(value, `"`); ok {
			value = strings.TrimSuffix(inner, `"`)
		}
		hop = parseHop(value)
	}
	return hop, rest, more
}

// cutLast cuts s around its last separator outside of quotation marks. No address has a
// quotation mark of its own, escaped or not.
func cutLast(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}
