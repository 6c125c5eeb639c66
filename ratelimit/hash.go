package ratelimit

import (
	"crypto/sha256"
	"encoding/hex"
)

// HashKey returns "sha256:" and the hexadecimal digits of the SHA-256 hash of key: how a
// report shows a key, and how a table of limits may list it. The hash of a key that can be
// guessed can be guessed as well.
func HashKey(key string) string {
	h := hashOf(key)
	return hashPrefix + hex.EncodeToString(h[:])
}

const hashPrefix = "sha256:"

// hashOf is the SHA-256 of a key, without a copy of it on the heap unless it is long.
func hashOf(key string) [sha256.Size]byte {
	var buffer [256]byte
	return sha256.Sum256(append(buffer[:0], key...))
}
