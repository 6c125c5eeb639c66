package transport

import (
	"net/http"
	"strings"
)

// A member is one member of a list or a dictionary of RFC 9651, as text. What the
// limits need is read, and no more: no inner lists, no byte sequences.
type member struct {
	key    string // of a dictionary; "" in a list
	value  string // of a string without its quotes
	params map[string]string
}

// members reads all lines of a field. Members that cannot be read are left out: a
// limit that is understood is of use beside one that is not.
func members(h http.Header, name string) []member {
	var found []member
	for _, line := range h.Values(name) {
		for part := range split(line, ',') {
			if m, ok := parseMember(part); ok {
				found = append(found, m)
			}
			if len(found) == maxLimits {
				return found
			}
		}
	}
	return found
}

func parseMember(s string) (m member, ok bool) {
	first := true
	for part := range split(s, ';') {
		part = strings.Trim(part, " \t")
		if !first {
			name, value, _ := strings.Cut(part, "=")
			if value, ok := bare(value); ok && len(m.params) < maxLimits {
				if m.params == nil {
					m.params = make(map[string]string)
				}
				m.params[name] = value
			}
			continue
		}
		first = false
		if !strings.HasPrefix(part, `"`) {
			if key, value, found := strings.Cut(part, "="); found {
				m.key, part = key, value
			}
		}
		if m.value, ok = bare(part); !ok || len(m.key) > maxText {
			return m, false
		}
	}
	return m, ok
}

// bare returns a string without its quotes and escapes, and anything else as it is.
func bare(s string) (string, bool) {
	if s == "" {
		return "", false
	}
	if s[0] != '"' {
		return s, len(s) <= maxText
	}
	if len(s) < 2 || len(s) > maxText+len(`""`) || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	if strings.IndexByte(s, '\\') < 0 {
		return s, true
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String(), true
}

// split yields what is between the separators that are not within quotes.
func split(s string, separator byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		start, quoted := 0, false
		for i := 0; i < len(s); i++ {
			switch {
			case quoted && s[i] == '\\':
				i++
			case s[i] == '"':
				quoted = !quoted
			case s[i] == separator && !quoted:
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(s[start:])
	}
}
