package file

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/address"
)

const hashPrefix = "sha256:"

// key returns a key as the table holds it: a copy, so that the text of the file is not kept,
// with hexadecimal digits in lower case.
func (b *builder) key(in string, e entry) (string, bool) {
	if e.key == "" {
		b.add(e.at, in, "an empty key", "must be an API key, or the sha256: of one")
		return "", false
	}
	digits, hashed := strings.CutPrefix(e.key, hashPrefix)
	if !hashed {
		if canonical, ok := address.Canonical(e.key); ok {
			return canonical, true
		}
		if address.Is(e.key) {
			b.add(e.at, keyPlace(in, e.key), "an address", address.Want)
			return "", false
		}
		return strings.Clone(e.key), true
	}
	b.hashed = true
	if len(digits) != 2*sha256.Size || !isHex(digits) {
		b.add(e.at, keyPlace(in, e.key), "a hash that is none", "must be sha256: and 64 hexadecimal digits, as `printf %s KEY | sha256sum` prints them; a key that begins with sha256: can only be written hashed")
		return "", false
	}
	if !strings.ContainsAny(digits, "ABCDEF") {
		return e.key, true // no copy: the table keeps no hashed key
	}
	return strings.ToLower(e.key), true
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// twice adds the fault of a key that is there again, with the line of the first one. Such keys
// are few, so it searches for that.
func (b *builder) twice(in string, again entry) {
	var line int32
	for _, section := range b.sections {
		if b.full() {
			break
		}
		for _, e := range section.keys {
			if line == 0 && strings.EqualFold(e.key, again.key) && sameKey(e.key, again.key) && e.at != again.at {
				line = e.at.Line
			}
		}
	}
	b.add(again.at, keyPlace(in, again.key), "the key a second time", fmt.Sprintf("must be there once, under members, keys or organisations: it is on line %d as well", line))
}

// sameKey compares two keys that differ at most in upper and lower case.
func sameKey(x, y string) bool { return x == y || strings.HasPrefix(x, hashPrefix) }

// findTwins finds keys that are there both in plain text and as their hash.
func (b *builder) findTwins() {
	if !b.hashed {
		return
	}
	// One bit per hash marks that it may be there. Checking it is faster than looking a million
	// keys up in a map.
	const bits = 23
	var maybe [1 << bits / 64]uint64
	buffer := make([]byte, 0, 128)
	for _, section := range b.sections {
		for _, e := range section.keys {
			if digits, hashed := strings.CutPrefix(e.key, hashPrefix); hashed && len(digits) >= 8 {
				if start, err := strconv.ParseUint(digits[:8], 16, 32); err == nil { // an invalid hash is already reported
					maybe[start>>(32-bits)/64] |= 1 << (start >> (32 - bits) % 64)
				}
			}
		}
	}
	for _, section := range b.sections {
		for _, e := range section.keys {
			if strings.HasPrefix(e.key, hashPrefix) {
				continue
			}
			sum := sha256.Sum256(append(buffer[:0], e.key...))
			if start := binary.BigEndian.Uint32(sum[:]) >> (32 - bits); maybe[start/64]&(1<<(start%64)) == 0 {
				continue
			}
			hash := hex.AppendEncode(append(buffer[:0], hashPrefix...), sum[:])
			if b.listed(string(hash)) {
				b.twice(section.place, entry{at: e.at, key: string(hash)})
			}
		}
	}
}

// listed reports whether a key is in the table.
func (b *builder) listed(key string) bool {
	_, member := b.config.Members[key]
	_, own := b.config.Keys[key]
	return member || own || b.inHomes[key]
}

// keyPlace names a key by the first digits of its hash.
func keyPlace(in, key string) string {
	if !strings.HasPrefix(key, hashPrefix) {
		key = ratelimit.HashKey(key)
	} else if digits := key[len(hashPrefix):]; !isHex(digits) {
		key = ratelimit.HashKey(key) // it may be anything
	}
	return fmt.Sprintf("%s[%.19s…]", in, key)
}
