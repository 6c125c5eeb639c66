package rpc

import (
	"context"
	"strings"

	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// A Key finds whose bucket a call takes from. The zero Key is the address of the client.
type Key struct {
	Find  func(*Call) (string, error)
	Fault error // of how it was made
}

// FromValue returns a Key that takes the only value that f returns.
func FromValue(f func(*Call) []string) Key {
	return Key{Find: func(c *Call) (string, error) {
		switch values := f(c); len(values) {
		case 0:
			return "", nil
		case 1:
			return gate.Key(values[0]), nil
		default:
			return "", gate.ErrKeys
		}
	}}
}

// FromContext returns a Key that takes what f returns.
func FromContext(f func(context.Context) (string, error)) Key {
	return Key{Find: func(c *Call) (string, error) {
		key, err := f(c.Context)
		return gate.Key(key), err
	}}
}

// IsHeader reports whether s can be the name of a header that a client may send: a token of RFC
// 9110, section 5.6.2.
func IsHeader(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}
