package rpc

import (
	"context"

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
