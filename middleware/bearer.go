package middleware

import (
	"net/http"
	"strings"

	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// Bearer returns a Key that takes the token from an Authorization header of
// exactly the form of RFC 6750, section 2.1: the scheme Bearer in any case, spaces,
// one token68 (RFC 9110, section 11.2), and nothing else. Anything else is no key,
// so that the spellings of one token do not make several buckets. Requests with two
// Authorization headers are [ErrAmbiguous].
//
// It does not know which tokens are genuine: each made-up one has a bucket. Where
// that matters, limit behind authentication, by what it has verified.
func Bearer() Key {
	return Key{find: func(r *http.Request, _ *address.Proxies) (string, error) {
		value, err := oneValue(r, "Authorization")
		scheme, token, _ := strings.Cut(value, " ")
		if token = strings.TrimLeft(token, " "); !strings.EqualFold(scheme, "Bearer") || !isToken68(token) {
			return "", err
		}
		return gate.Key(token), nil
	}}
}

// isToken68 tells whether s is 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" /
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
