package gate

import "strings"

// BearerToken returns the token in the value of an Authorization header of exactly the form of RFC
// 6750, section 2.1, or "".
func BearerToken(value string) string {
	scheme, token, _ := strings.Cut(Trim(value), " ")
	if token = strings.TrimLeft(token, " "); !strings.EqualFold(scheme, "Bearer") || !isToken68(token) {
		return ""
	}
	return token
}

// isToken68 reports whether s is 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" /
// "/" ) *"=".
func isToken68(s string) bool {
	s = strings.TrimRight(s, "=")
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
