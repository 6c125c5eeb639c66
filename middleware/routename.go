package middleware

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/keyrate/keyrate/store"
)

// RouteName returns the name of a limit on the route of a pattern, as in headers and
// bodies, and for [ratelimit.Limiter.ResetLimit]. Different patterns and names give
// different results.
//
// The result is the pattern, and "#" with the name unless that is "" or
// "default". Characters that a name cannot have, and # % ~ in the pattern, are
// written as in a URL, such as %2C. If it is longer than [store.MaxName], the result is
// the beginning of the pattern, "~" and a hash.
func RouteName(pattern, name string) string {
	escaped := escapePattern(pattern)
	full := escaped
	if name != "" && name != "default" {
		full += "#" + name
	}
	if len(full) <= store.MaxName {
		return full
	}
	// 128 bits, as memstore keeps of a key. A whole name has no "~" before its first "#",
	// but this one has.
	sum := sha256.Sum256([]byte(full))
	hash := "~" + base64.RawURLEncoding.EncodeToString(sum[:16])
	return escaped[:min(len(escaped), store.MaxName-len(hash))] + hash
}

// escapePattern writes a pattern as a name can contain it, without loss.
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
