// Package keyhash has the hash that stands for an API key where the key must not be shown.
package keyhash

import (
	"crypto/sha256"
	"encoding/hex"
)

// Prefix is what the text of a hash begins with.
const Prefix = "sha256:"

// Of returns the SHA-256 of a key. It allocates only for a key of more than 256 bytes.
func Of(key string) [sha256.Size]byte {
	var buffer [256]byte
	return sha256.Sum256(append(buffer[:0], key...))
}

// Text returns Prefix and the hexadecimal digits of a hash.
func Text(hash [sha256.Size]byte) string { return Prefix + hex.EncodeToString(hash[:]) }
