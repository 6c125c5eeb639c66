package redisstore

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"

	"github.com/keyrate/keyrate/store"
)

// names makes the names of buckets: PREFIX:{HASH}:LIMIT, where HASH is the hash of the API
// key in base64url. All buckets of a key have one hash tag, so that a Cluster keeps them in
// one slot. No byte of the key itself gets into Redis.
type names struct {
	prefix  string
	newHash func() hash.Hash
	hashes  sync.Pool // of hash.Hash
}

func newNames(prefix string, secret []byte) *names {
	secret = slices.Clone(secret) // the caller may overwrite its own
	newHash := sha256.New
	if len(secret) > 0 {
		newHash = func() hash.Hash { return hmac.New(sha256.New, secret) }
	}
	return &names{prefix: prefix + ":{", newHash: newHash}
}

// maxPrefix is in bytes. It catches mistakes: the name of every bucket has the prefix.
const maxPrefix = 64

// checkPrefix rejects a prefix that would not work, or is hard to type in redis-cli.
func checkPrefix(prefix string) error {
	for _, c := range []byte(prefix) {
		// A brace would begin another hash tag, which puts all keys into one slot.
		if c <= ' ' || c > '~' || c == '{' || c == '}' {
			return fmt.Errorf("redisstore: Config.Prefix %q must be printable ASCII without spaces or braces, such as %q", prefix, defaultPrefix)
		}
	}
	if len(prefix) > maxPrefix {
		return fmt.Errorf("redisstore: Config.Prefix has %d bytes; must have at most %d", len(prefix), maxPrefix)
	}
	return nil
}

// minSecret is in bytes. Shorter secrets can be guessed by trial against what Redis has.
const minSecret = 16

// checkSecret rejects a short secret. An empty one is allowed.
func checkSecret(secret []byte) error {
	if n := len(secret); n > 0 && n < minSecret {
		return fmt.Errorf("redisstore: Config.Secret is too short: its length in bytes is %d; must be at least %d, such as the 64 characters of `openssl rand -hex 32`, or 0", n, minSecret)
	}
	return nil
}

// owner is what the names of the buckets of a key, and of its home, begin with.
type owner struct{ key, home string }

// owner returns the owner of a key's buckets: PREFIX:{HASH}: or, in a home, PREFIX:{HOME}:HASH:
// and, for the buckets of the home, PREFIX:{HOME}::. Redis keeps all buckets of a home in one
// slot.
func (n *names) owner(home, key string) owner {
	if home == "" {
		tag := n.tag(key)
		return owner{tag, tag}
	}
	tag := n.tag("\x00home\x00" + home) // no key of this text
	hash := n.tag(key)
	return owner{tag + hash[len(n.prefix):len(hash)-2] + ":", tag + ":"}
}

// slot returns the beginning of the owner's names that decides where the buckets are.
func (o owner) slot() string { return o.key[:strings.IndexByte(o.key, '}')+2] }

// bucket returns the name of one bucket.
func (o owner) bucket(l *store.Limit) string {
	if l.Shared {
		return o.home + l.Name
	}
	return o.key + l.Name
}

// tag returns the beginning of the names of the buckets of a key without a home.
func (n *names) tag(key string) string {
	h, ok := n.hashes.Get().(hash.Hash)
	if !ok {
		h = n.newHash()
	}
	_, _ = h.Write([]byte(key))
	var sum [sha256.Size]byte
	h.Sum(sum[:0])
	h.Reset() // leaves nothing of the key in the pool
	n.hashes.Put(h)
	b := make([]byte, 0, len(n.prefix)+base64.RawURLEncoding.EncodedLen(len(sum))+2)
	b = append(b, n.prefix...)
	b = base64.RawURLEncoding.AppendEncode(b, sum[:])
	return string(append(b, "}:"...))
}
