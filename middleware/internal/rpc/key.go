package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/middleware/internal/gate"
)

// A Key finds whose bucket a call takes from. The zero Key is the address of the client.
type Key struct {
	Find  func(c *Call, address Address) (string, error)
	Fault error // of how it was made
}

// An Address returns the key of the client's address.
type Address func(*Call) (string, error)

func (k Key) of(c *Call, address Address) (string, error) {
	if k.Find == nil {
		return address(c)
	}
	return k.Find(c, address)
}

// FromValue returns a Key that takes the only value that f returns.
func FromValue(f func(*Call) []string) Key {
	return fromValue(f, func(value string) string { return value })
}

// Bearer returns a Key that takes the token from the only value that f returns, which is that of an
// Authorization header.
func Bearer(f func(*Call) []string) Key { return fromValue(f, gate.BearerToken) }

func fromValue(f func(*Call) []string, key func(value string) string) Key {
	return Key{Find: func(c *Call, _ Address) (string, error) {
		switch values := f(c); len(values) {
		case 0:
			return "", nil
		case 1:
			return gate.Key(key(values[0])), nil
		default:
			return "", gate.ErrKeys
		}
	}}
}

// First returns a Key that takes the first key that one of keys finds, or the first error. example
// is how to call it.
func First(keys []Key, example string) Key {
	keys = slices.Clone(keys)
	var fault error
	if len(keys) == 0 {
		fault = fmt.Errorf("First() must be given the keys to try, such as %s", example)
	}
	for _, key := range keys {
		fault = errors.Join(fault, key.Fault)
	}
	return Key{Fault: fault, Find: func(c *Call, address Address) (string, error) {
		for _, key := range keys {
			if k, err := key.of(c, address); k != "" || err != nil {
				return k, err
			}
		}
		return "", nil
	}}
}

// FromContext returns a Key that takes what f returns.
func FromContext(f func(context.Context) (string, error)) Key {
	return Key{Find: func(c *Call, _ Address) (string, error) {
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
