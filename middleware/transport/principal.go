package transport

import (
	"slices"
	"strings"
)

// principals are the parameters that name the caller in a signed Authorization, which
// differs from request to request: those of AWS, Alibaba, Tencent, HTTP Digest, HMAC in
// Kong, Signature, Hawk, Akamai and OAuth 1.
var principals = []string{"credential", "username", "keyid", "id", "client_token", "oauth_consumer_key", "oauth_token"}

// principal returns the part of a credential that is the same in each request: all of it,
// unless it is signed.
func principal(value string) string {
	scheme, rest, found := strings.Cut(value, " ")
	if !found {
		return value
	}
	switch strings.ToLower(scheme) {
	case "bearer", "basic", "token":
		return value
	case "aws", "sharedkey", "sharedkeylite": // AWS key:signature
		caller, _, _ := strings.Cut(rest, ":")
		return scheme + " " + caller
	}
	var same strings.Builder
	same.WriteString(scheme)
	for part := range strings.FieldsFuncSeq(rest, func(c rune) bool { return c == ',' || c == ';' || c == ' ' }) {
		name, text, found := strings.Cut(part, "=")
		if !found || !slices.Contains(principals, strings.ToLower(name)) {
			continue
		}
		if strings.EqualFold(name, "credential") { // with a date behind the key
			text, _, _ = strings.Cut(text, "/")
		}
		same.WriteString(" " + name + "=" + text)
	}
	if same.Len() == len(scheme) {
		return value
	}
	return same.String()
}
