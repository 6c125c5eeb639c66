package gate

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/keyrate/keyrate/store"
)

// The errors of a call with several keys or addresses.
var (
	ErrKeys      = errors.New("the request has more than one key")
	ErrAddresses = errors.New("the request has more than one client address")
)

// errOther stands for any other error, whose text may contain a key.
var errOther = errors.New("a fault")

// kindOf returns the one of these three that err is. The methods of err may panic.
func kindOf(err error) error {
	switch {
	case errors.Is(err, ErrKeys):
		return ErrKeys
	case errors.Is(err, ErrAddresses):
		return ErrAddresses
	}
	return errOther
}

// key returns the key of a call. It returns "" for a call to deny: with ErrKeys or
// ErrAddresses, or with nil if a key is required.
func (g *Gate[C]) key(ctx context.Context, of C) (key string, err error) {
	if store.Try(func() {
		if key, err = g.config.Key(of); err != nil {
			key, err = "", kindOf(err)
		}
	}) != nil {
		g.Report(ctx, FaultKeyPanic, "limited by address")
		return g.config.Address(of)
	}
	if err != nil && errors.Is(err, errOther) {
		g.Report(ctx, FaultKey, "treated as without a key")
		err = nil
	}
	if key == "" && err == nil && !g.config.RequireKey {
		return g.config.Address(of)
	}
	return key, err
}

// MaxKey is the length in bytes above which a key is hashed.
const MaxKey = 256

// hashed is the prefix of the hash of a long key. A client's key never begins with a space,
// and the key of an address has another prefix: see package address.
const hashed = " sha256 "

// Key returns a client's key as the limiter gets it: without spaces and tabs around it,
// and hashed if that is longer than MaxKey.
func Key(text string) string {
	text = Trim(text)
	if len(text) > MaxKey {
		sum := sha256.Sum256([]byte(text))
		return hashed + string(sum[:])
	}
	return text
}

// Trim removes the optional whitespace of RFC 9110, section 5.6.3.
func Trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}
