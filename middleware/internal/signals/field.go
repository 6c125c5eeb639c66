package signals

import (
	"iter"
	"strings"
)

// A member is one member of a list or a dictionary of RFC 9651, as text. Inner lists and
// byte sequences are not read.
type member struct {
	key    string // of a dictionary; "" in a list
	value  string // of a string without its quotes
	params string // as sent, with the semicolon before the first
}

const (
	// maxField is how much of a field is read, in bytes: all of its lines together.
	maxField = 8 << 10
	// maxTried is how many members of a field are read, invalid ones included.
	maxTried = 4 * maxLimits
	// maxText is how long a number, a time or a name may be, in bytes.
	maxText = 64
)

// members reads the lines of a field. It omits invalid members: a limit that is understood
// is of use beside one that is not.
func members(lines []string) []member {
	var found []member
	left, tried := maxField, 0
	for _, line := range lines {
		for part := range split(head(line, left), ',') {
			if m, ok := parseMember(part); ok {
				found = appendParts(found, m)
			}
			if tried++; len(found) >= maxLimits || tried == maxTried {
				return found
			}
		}
		if left -= len(line) + 1; left <= 0 {
			break
		}
	}
	return found
}

// appendParts appends a member, or its parts if it is a list of another kind, as Lightspeed
// eCom sends it: 300/3000/12000.
func appendParts(found []member, m member) []member {
	if strings.Count(m.value, "/") < 2 || strings.Trim(m.value, "0123456789/") != "" || strings.Contains("/"+m.value+"/", "//") ||
		strings.Contains("/"+m.value, "/0") && !strings.Contains("/"+m.value+"/", "/0/") { // 05/01/2026 is a date
		return append(found, m)
	}
	for part := range strings.SplitSeq(m.value, "/") {
		found = append(found, member{key: m.key, value: part, params: m.params})
	}
	return found
}

// head returns the members of a line that end within its first bytes.
func head(line string, size int) string {
	if len(line) <= size {
		return line
	}
	return line[:max(strings.LastIndexByte(line[:size], ','), 0)]
}

func parseMember(s string) (m member, ok bool) {
	s = strings.Trim(s, " \t")
	for part := range split(s, ';') {
		m.params = s[len(part):]
		s = strings.Trim(part, " \t")
		break
	}
	if !strings.HasPrefix(s, `"`) {
		if key, value, found := strings.Cut(s, "="); found {
			m.key, s = strings.Trim(key, " \t"), strings.Trim(value, " \t")
		}
	}
	m.value, ok = unquote(s)
	return m, ok && len(m.key) <= maxText
}

// param returns the value of a parameter, "" if there is none. Of several the last counts
// (RFC 9651, section 4.2.3.2).
func (m member) param(name string) string {
	var found string
	for part := range split(m.params, ';') {
		key, value, _ := strings.Cut(part, "=")
		if strings.Trim(key, " \t") == name {
			found, _ = unquote(strings.Trim(value, " \t"))
		}
	}
	return found
}

// unquote returns a string without its quotes and escapes, and anything else as it is.
func unquote(s string) (string, bool) {
	if s == "" || s[0] != '"' {
		return s, s != "" && len(s) <= maxText
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

// split yields what is between the separators outside quotes. It skips all but one of
// several commas in a row. A date is parted from its weekday, which says nothing.
func split(s string, separator byte) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, quoted := skip(s, 0, separator), false
		for i := start; i < len(s); i++ {
			switch {
			case quoted && s[i] == '\\':
				i++
			case s[i] == '"':
				quoted = !quoted
			case s[i] == separator && !quoted:
				if !yield(s[start:i]) {
					return
				}
				start = skip(s, i+1, separator)
				i = start - 1
			}
		}
		yield(s[start:])
	}
}

// skip returns the index of the next member that is not empty.
func skip(s string, i int, separator byte) int {
	for separator == ',' && i < len(s) && (s[i] == ',' || s[i] == ' ') {
		i++
	}
	return i
}
