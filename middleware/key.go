package middleware

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
)

// A KeyFunc tells whose bucket a request takes from. It is called concurrently.
//
// It returns the key, any bytes; "" if the request has none; or [Ambiguous] if it
// has more than one. Spaces and tabs around a key do not count, everything else
// does, and a key of more than [MaxKey] bytes is hashed.
//
// The surest key is the identity that authentication has verified and put into the
// context: then no spelling of a credential makes a bucket, and made-up ones share
// that of their caller's address.
//
// A KeyFunc that builds on another returns [Ambiguous] and what [ClientIP] gave as
// they are.
type KeyFunc func(*http.Request) string

// MaxKey is how long a key may be, in bytes, without being hashed.
const MaxKey = 256

// Ambiguous is what a KeyFunc returns for a request with several keys, of which the
// application might go by another one. It is answered with 400.
const Ambiguous = "\x00ambiguous"

// Header returns a KeyFunc that takes the key from a header, such as "X-API-Key".
// Requests with that header twice are [Ambiguous], whatever the values.
//
// For the Authorization header, use [Bearer]. A name that no header can have is a fault,
// which [Config.Validate] reports; each request is one of class [FaultKeyPanic] then, and
// limited by its address.
func Header(name string) KeyFunc {
	if !isToken(name) {
		err := fmt.Errorf("Header(%q) must be given the name of a header, such as %q", name, "X-API-Key")
		return faulty(err, func(*http.Request) string { panic(err) })
	}
	name = http.CanonicalHeaderKey(name)
	return func(r *http.Request) string {
		switch values := r.Header[name]; len(values) {
		case 0:
			return ""
		case 1:
			return trimSpace(values[0])
		default:
			return Ambiguous
		}
	}
}

// First returns a KeyFunc that takes the first key that one of keys finds. A
// request that is [Ambiguous] to one of them is so to First, unless an earlier one
// found a key. A caller who has a key of two kinds can choose which one counts, so
// First is for applications that look for the kinds in the same order. What is wrong with
// one of keys is a fault of First, and so is one that is nil.
func First(keys ...KeyFunc) KeyFunc {
	first := func(r *http.Request) string {
		for _, key := range keys {
			if k := key(r); k != "" {
				return k
			}
		}
		return ""
	}
	var faults []error
	for i, key := range keys {
		if err := keyFault(key); err != nil {
			faults = append(faults, err)
		} else if key == nil {
			faults = append(faults, fmt.Errorf("First: keys[%d] must not be nil; for the client's address, use ClientIP()", i))
		}
	}
	if len(faults) > 0 {
		return faulty(errors.Join(faults...), first)
	}
	return first
}

// faulty returns a KeyFunc that does what key does, and of which keyFault knows that it was
// made wrongly. It must not be inlined: all that it returns must have the code of one
// function.
//
//go:noinline
func faulty(err error, key KeyFunc) KeyFunc {
	return func(r *http.Request) string {
		if r == nil {
			panic(err) // keyFault asks
		}
		return key(r)
	}
}

// keyFault returns what is wrong with how a KeyFunc of this package was made, or nil. It
// calls none that was written elsewhere.
func keyFault(key KeyFunc) (err error) {
	if key == nil || reflect.ValueOf(key).Pointer() != faultyCode {
		return nil
	}
	defer func() { err, _ = recover().(error) }()
	key(nil)
	return nil
}

// faultyCode is where the code of what faulty returns is.
var faultyCode = reflect.ValueOf(faulty(nil, nil)).Pointer()

// What the limiter gets to see. A key is trimmed, so it never begins with a space;
// whatever is not a caller's key as it came does, and the word behind the space
// keeps these apart. So no two different things are ever one bucket.
const (
	hashedPrefix  = " sha256 "
	addressPrefix = " ip "
)

// addressMark stands in front of what ClientIP returns. It is how RateLimit knows
// an address that a KeyFunc returns from a key with the same bytes: nobody outside
// this process can make one up. No bucket has it in its name.
var addressMark = rand.Text()

// peerMark stands in front of the address of a peer, when it is for RateLimit to
// say whether it is a proxy.
var peerMark = addressMark + "peer"

// BucketKey returns the key by which a limiter behind [RateLimit] knows what a
// KeyFunc returned: for calls to its methods, such as Reset, and for the keys of a
// [ratelimit.Table]. It is the key itself, trimmed, unless that is longer than
// [MaxKey] bytes. For addresses there is [AddressKey].
func BucketKey(key string) string {
	key = trimSpace(key)
	if address, _, ok := unmark(key); ok {
		return address
	}
	if strings.Contains(key, addressMark) {
		// A KeyFunc has built on ClientIP. The mark would make it another key in
		// every process.
		key = strings.ReplaceAll(key, peerMark, "")
		key = trimSpace(strings.ReplaceAll(key, addressMark, ""))
	}
	if len(key) > MaxKey {
		sum := sha256.Sum256([]byte(key))
		return hashedPrefix + string(sum[:])
	}
	return key
}

// isToken tells whether s is a token, RFC 9110, section 5.6.2, as names of headers
// are.
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

// unmark returns the address in what ClientIP returned, and whether it is that of a
// peer, which may be a proxy. It returns false for anything else, also if something
// was put before or behind it.
func unmark(key string) (address string, peer, ok bool) {
	inner, ok := strings.CutPrefix(key, addressMark)
	if !ok {
		return "", false, false
	}
	inner, ok = strings.CutSuffix(inner, addressMark)
	if !ok || strings.Contains(inner, addressMark) {
		return "", false, false
	}
	address, peer = strings.CutPrefix(inner, "peer")
	return address, peer, true
}

// trimSpace removes the optional whitespace of RFC 9110, section 5.6.3.
func trimSpace(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
