package middleware

import (
	"net/http"

	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// Bearer returns a Key that takes the token from an Authorization header of exactly the
// form of RFC 6750, section 2.1: the scheme Bearer in any case, spaces, one token68 (RFC
// 9110, section 11.2), and nothing else. Any other value is no key, so that spellings of
// one token do not make several buckets. Requests with two Authorization headers are
// [ErrAmbiguous].
//
// Bearer does not verify tokens: each invented one has a bucket. If that matters, limit
// behind authentication, with a [KeyFunc] that returns the verified identity.
func Bearer() Key {
	return Key{find: func(r *http.Request, _ *address.Proxies) (string, error) {
		value, err := oneValue(r, "Authorization")
		return gate.Key(gate.BearerToken(value)), err
	}}
}
