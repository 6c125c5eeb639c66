package gate

import (
	"crypto/sha256"
	"errors"
)

// What a call has several of, where one is right.
var (
	ErrKeys      = errors.New("the request has more than one key")
	ErrAddresses = errors.New("the request has more than one client address")
)

// errOther is any other error of a user's function, which may hold a key.
var errOther = errors.New("a fault")

// kindOf returns which of the three an error is. The methods of err may panic.
func kindOf(err error) error {
	switch {
	case errors.Is(err, ErrKeys):
		return ErrKeys
	case errors.Is(err, ErrAddresses):
		return ErrAddresses
	}
	return errOther
}

// MaxKey is how long a key may be, in bytes, without being hashed.
const MaxKey = 256

// hashed stands in front of the hash of a long key. A key is trimmed, so it never begins
// with a space, and an address has another word there: see package address.
const hashed = " sha256 "

// Key returns the key of a client as the limiter gets it: without spaces and tabs around
// it, and hashed if it is longer than MaxKey.
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
