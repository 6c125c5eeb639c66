package middleware

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
)

// RouteName returns the name that a limit has on the route of a pattern, in headers and
// bodies, and for [ratelimit.Limiter.ResetLimit]. No two patterns and names give the same.
//
// It is the pattern, and "#" with the name, if that is not "" or [ratelimit.DefaultName].
// What a name cannot hold, and " # % ~ " as well, is written as in a URL, such as %2C. Of
// more than [ratelimit.MaxName] bytes it is the beginning of the pattern, "~" and a hash.
func RouteName(pattern, name string) string {
	escaped := escapePattern(pattern)
	full := escaped
	if name != "" && name != ratelimit.DefaultName {
		full += "#" + name
	}
	if len(full) <= ratelimit.MaxName {
		return full
	}
	// 128 bits, as many as memory keeps of a key. A name that is whole has no "~" before its
	// first "#", and this has: so it is none of those.
	sum := sha256.Sum256([]byte(full))
	hash := "~" + base64.RawURLEncoding.EncodeToString(sum[:16])
	return escaped[:min(len(escaped), ratelimit.MaxName-len(hash))] + hash
}

// escapePattern writes a pattern so that a name can hold it, and it can be read back.
func escapePattern(pattern string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i, c := range []byte(pattern) {
		atEnd := i == 0 || i == len(pattern)-1
		if c < ' ' || c > '~' || strings.IndexByte(`"\;,#%~`, c) >= 0 || c == ' ' && atEnd {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
