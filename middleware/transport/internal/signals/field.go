package signals

import (
	"strings"
	"time"
)

// A member is one member of a list or a dictionary of RFC 9651, as text. What the
// limits need is read, and no more: no inner lists, no byte sequences.
type member struct {
	key    string // of a dictionary; "" in a list
	value  string // of a string without its quotes
	params string // as they stand there, with the semicolon before the first
}

// maxField is how much of a field is read, in bytes: all of its lines together.
const maxField = 8 << 10

// maxTried is how many members of a field are read, with those that make no sense.
const maxTried = 4 * maxLimits

// members reads the lines of a field. Members that cannot be read are left out: a
// limit that is understood is of use beside one that is not.
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

// appendParts appends a member, or its parts if it is a list of another kind:
// 300/3000/12000, of Lightspeed eCom.
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
	m.value, ok = bare(s)
	return m, ok && len(m.key) <= maxText
}

// param returns the value of a parameter, "" if there is none. Of several the last
// counts (RFC 9651, section 4.2.3.2).
func (m member) param(name string) string {
	var found string
	for part := range split(m.params, ';') {
		key, value, _ := strings.Cut(part, "=")
		if strings.Trim(key, " \t") == name {
			found, _ = bare(strings.Trim(value, " \t"))
		}
	}
	return found
}

// window returns the window that a member of a quota policy states, 0 if it does not.
// "window" is the name in draft-ietf-httpapi-ratelimit-headers-00.
func (m member) window() time.Duration {
	for _, name := range []string{"w", "window"} {
		if d, ok := parsePeriod(m.param(name), time.Second); ok {
			return m.exact(d)
		}
	}
	return 0
}

// exact returns a window as keyrate itself says it, beside one that is rounded up to
// seconds.
func (m member) exact(window time.Duration) time.Duration {
	n, ok := parseCount(m.param("keyrate-window-us"))
	if d := time.Duration(n) * time.Microsecond; ok && d > 0 && d < window && window-d < time.Second {
		return d
	}
	return window
}

// names reports whether a policy is the one of that name, although it should stand
// before all parameters: `"fixed window";"api";q=500;w=300`.
func (m member) names(name string) bool {
	for part := range split(m.params, ';') {
		part = strings.Trim(part, " \t")
		if !strings.HasPrefix(part, `"`) {
			continue
		}
		if text, ok := bare(part); ok && text == name {
			return true
		}
	}
	return false
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

// split yields what is between the separators that are not within quotes. Of several
// commas in a row all but one are skipped. A date parts from its weekday, which says
// nothing.
func split(s string, separator byte) func(yield func(string) bool) {
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

// skip returns where the next member begins that is not empty.
func skip(s string, i int, separator byte) int {
	for separator == ',' && i < len(s) && (s[i] == ',' || s[i] == ' ') {
		i++
	}
	return i
}
