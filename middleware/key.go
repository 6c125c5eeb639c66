package middleware

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/middleware/internal/address"
	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// A Key finds whose bucket a request takes from. The zero Key is the client's address,
// which every request has: see [ClientIP]. [Header], [Bearer] and [First] return others,
// and [KeyFunc] one of your own.
//
// A fault in how a Key was made, such as the name of a header that no header can have, is
// an error of [RateLimit].
type Key struct {
	find   finder // nil: the client's address
	faults []error
}

// A finder returns the key of a request as the limiter gets it (see BucketKey), or "" if
// the request has none. trusted are the proxies of the Config.
type finder func(r *http.Request, trusted *address.Proxies) (string, error)

// of returns the key of r.
func (k Key) of(r *http.Request, trusted *address.Proxies) (string, error) {
	if k.find == nil {
		return addressOf(r, trusted)
	}
	return k.find(r, trusted)
}

// MaxKey is the length in bytes above which a key is hashed.
const MaxKey = gate.MaxKey

// ErrAmbiguous is the error of a [KeyFunc] for a request with several keys, because the
// application might use another one. The request gets 400.
var ErrAmbiguous = gate.ErrKeys

// KeyFunc returns a Key that calls f for each request, concurrently. f returns the key,
// any bytes, or "" if the request has none. Spaces and tabs around a key are removed, and a
// key of more than [MaxKey] bytes is hashed.
//
// The safest key is the identity that authentication has verified and put into the
// context: then spellings of a credential make no buckets, and requests with invented
// credentials share the bucket of their client's address.
//
// For a request with several keys, f returns [ErrAmbiguous]. Any other error is a fault of
// class [FaultKey], whose text is never shown, and the request is treated as one without a
// key.
func KeyFunc(f func(*http.Request) (string, error)) Key {
	if f == nil {
		return Key{faults: []error{errors.New("KeyFunc: f must not be nil; for the client's address, use ClientIP()")}}
	}
	return Key{find: func(r *http.Request, _ *address.Proxies) (string, error) {
		key, err := f(r)
		return gate.Key(key), err
	}}
}

// Header returns a Key that takes the key from a header, such as "X-API-Key". Requests
// with that header twice are [ErrAmbiguous], even if the values are equal. For the
// Authorization header, use [Bearer].
func Header(name string) Key {
	if !isToken(name) {
		return Key{faults: []error{fmt.Errorf("Header(%q) must be given the name of a header, such as %q", name, "X-API-Key")}}
	}
	name = http.CanonicalHeaderKey(name)
	return Key{find: func(r *http.Request, _ *address.Proxies) (string, error) {
		value, err := oneValue(r, name)
		return gate.Key(value), err
	}}
}

// oneValue returns the value of a header, "" without it. name is in canonical form.
func oneValue(r *http.Request, name string) (string, error) {
	switch values := r.Header[name]; len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	default:
		return "", ErrAmbiguous
	}
}

// First returns a Key that takes the first key that one of keys finds, or the first error,
// such as [ErrAmbiguous]. A client with keys of two kinds can choose which one counts, so
// use First only if the application looks for them in the same order. First without keys is
// an error of [RateLimit].
func First(keys ...Key) Key {
	keys = slices.Clone(keys)
	var faults []error
	if len(keys) == 0 {
		faults = append(faults, errors.New(`First() must be given the keys to try, such as First(Header("X-API-Key"), Bearer())`))
	}
	for _, key := range keys {
		faults = append(faults, key.faults...)
	}
	return Key{faults: faults, find: func(r *http.Request, trusted *address.Proxies) (string, error) {
		for _, key := range keys {
			if k, err := key.of(r, trusted); k != "" || err != nil {
				return k, err
			}
		}
		return "", nil
	}}
}

// BucketKey returns the key that a limiter behind [RateLimit] gets for the key of a
// request. Use it to call methods of the limiter, such as Reset, and for the keys of a
// [plans.Table]. It is the key without spaces and tabs around it, or a hash if that is
// longer than [MaxKey] bytes. For addresses, see [AddressKey].
func BucketKey(key string) string { return gate.Key(key) }

// isToken reports whether s is a token (RFC 9110, section 5.6.2), as the name of a header
// must be.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
