package file

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

const hashPrefix = "sha256:"

// key returns a key as the table takes it: a copy, so that the text of the file need not be
// kept, and hexadecimal digits in lower case.
func (b *builder) key(in string, e entry) (string, bool) {
	if e.key == "" {
		b.add(e.at, in, "an empty key", "must be an API key, or the sha256: of one")
		return "", false
	}
	digits, hashed := strings.CutPrefix(e.key, hashPrefix)
	if !hashed {
		if want := tableWants(e.key); want != "" {
			b.add(e.at, keyPlace(in, e.key), "an address", want)
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

// addressBytes are all that there can be in an address or a prefix, and in "ip" before it.
// To look is far quicker than to ask the table about each key with a dot in it.
const addressBytes = "0123456789abcdefABCDEFip.:/*-[] \t"

// tableWants returns what a table wants instead of a key that is an address; "" for any
// other key. Nothing else is wrong with a plain key that is not empty.
func tableWants(key string) string {
	// A zone may be anything.
	text, _, _ := strings.Cut(key, "%")
	if !strings.ContainsAny(text, ".:") || strings.Trim(strings.TrimSpace(text), addressBytes) != "" { // most keys
		return ""
	}
	_, err := plans.NewTable(plans.TableConfig{Default: ratelimit.Unlimited, Keys: map[string]*ratelimit.Policy{key: ratelimit.Unlimited}})
	if fault, ok := errors.AsType[*ratelimit.LimitError](err); ok {
		return fault.Want
	}
	return ""
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'f') {
			return false
		}
	}
	return true
}

// twice tells of a key that is there again, and where it was before. There are few: they are
// looked for.
func (b *builder) twice(in string, again entry, lists ...[]entry) {
	var line int32
	if b.full() {
		lists = nil
	}
	for _, list := range lists {
		for _, e := range list {
			if line == 0 && strings.EqualFold(e.key, again.key) && sameKey(e.key, again.key) && e.at != again.at {
				line = e.at.Line
			}
		}
	}
	b.add(again.at, keyPlace(in, again.key), "the key a second time", fmt.Sprintf("must be there once, under members or keys: it is on line %d as well", line))
}

// sameKey compares two keys that differ at most in upper and lower case.
func sameKey(x, y string) bool { return x == y || strings.HasPrefix(x, hashPrefix) }

// findTwins looks for keys that are there plainly and hashed.
func (b *builder) findTwins(members, keys []entry) {
	if !b.hashed {
		return
	}
	// Of each hash a bit says that it may be there, which is quicker to see than it is to look
	// for a million keys in a map.
	const bits = 23
	var maybe [1 << bits / 64]uint64
	buffer := make([]byte, 0, 128)
	for _, list := range [][]entry{members, keys} {
		for _, e := range list {
			if digits, hashed := strings.CutPrefix(e.key, hashPrefix); hashed && len(digits) >= 8 {
				if start, err := strconv.ParseUint(digits[:8], 16, 32); err == nil { // what is no hash is told already
					maybe[start>>(32-bits)/64] |= 1 << (start >> (32 - bits) % 64)
				}
			}
		}
	}
	for i, list := range [][]entry{members, keys} {
		for _, e := range list {
			if strings.HasPrefix(e.key, hashPrefix) {
				continue
			}
			sum := sha256.Sum256(append(buffer[:0], e.key...))
			if start := binary.BigEndian.Uint32(sum[:]) >> (32 - bits); maybe[start/64]&(1<<(start%64)) == 0 {
				continue
			}
			hash := hex.AppendEncode(append(buffer[:0], hashPrefix...), sum[:])
			_, member := b.config.Members[string(hash)]
			if _, own := b.config.Keys[string(hash)]; member || own {
				b.twice(fieldNames[2+i], entry{at: e.at, key: string(hash)}, members, keys)
			}
		}
	}
}

// keyPlace tells which key, by the first digits of its hash.
func keyPlace(in, key string) string {
	if !strings.HasPrefix(key, hashPrefix) {
		key = ratelimit.HashKey(key)
	} else if digits := key[len(hashPrefix):]; !isHex(digits) {
		key = ratelimit.HashKey(key) // it may be anything
	}
	return fmt.Sprintf("%s[%.19s…]", in, key)
}
