package address

import (
	"net/netip"
	"strings"
)

// nextForwarded parses the last element of the header Forwarded (RFC 7239), and returns the
// rest in front of it. It reads from the right: a client's part is on the left, and with an
// unclosed quotation mark it could hide what proxies appended.
func nextForwarded(list string) (hop netip.Addr, rest string, more bool) {
	rest, element, more, ok := cutLast(list, ',')
	if !ok {
		return netip.Addr{}, rest, more
	}
	found := false
	for next := true; next; {
		var pair string
		element, pair, next, _ = cutLast(element, ';')
		name, value, _ := strings.Cut(trim(pair), "=")
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

// cutLast cuts s around its last separator outside of quotation marks. ok is false if a
// quotation mark is not around a value. In a value, which may be a client's Host, it has a
// backslash in front.
func cutLast(s string, separator byte) (before, after string, found, ok bool) {
	quoted := false
	for i := len(s) - 1; i >= 0; i-- {
		switch {
		case s[i] == '"' && !quoted:
			if end := strings.TrimLeft(s[i+1:], " \t"); end != "" && end[0] != ',' && end[0] != ';' {
				return "", s, false, false
			}
			quoted = true
		case s[i] == '"':
			if i == 0 || s[i-1] != '=' && s[i-1] != '\\' {
				return "", s, false, false
			}
			quoted = s[i-1] == '\\'
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true, true
		}
	}
	return "", s, false, !quoted
}
