package table

import (
	"bytes"
	"encoding/hex"
	"strings"
)

// Most of a large table is hashes. In a packed text, which is what Redis and the file have, each
// is 33 bytes in place of 71: a zero byte, which no table has otherwise, and the 32 of the hash. Its
// hexadecimal digits are as small when they are compressed, but that takes twenty times as long.
const (
	hashBegins = "sha256:"
	hashSize   = 32
	hashMark   = 0
)

// pack packs a text.
func pack(text string) []byte {
	packed := make([]byte, 0, len(text)/2+64)
	for {
		at := strings.Index(text, hashBegins)
		if at < 0 {
			return append(packed, text...)
		}
		packed = append(packed, text[:at]...)
		text = text[at:]
		end := len(hashBegins) + 2*hashSize
		if len(text) >= end && isHex(text[len(hashBegins):end]) {
			packed = append(packed, hashMark)
			packed, _ = hex.AppendDecode(packed, []byte(text[len(hashBegins):end])) // it is hexadecimal
			text = text[end:]
			continue
		}
		packed = append(packed, hashBegins...)
		text = text[len(hashBegins):]
	}
}

// isHex reports whether a text is as hex.EncodeToString returns it.
func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// unpack is the reverse of pack.
func unpack(packed []byte) (string, error) {
	if len(packed) > maxText {
		return "", errForeign
	}
	text := make([]byte, 0, 2*len(packed)+64)
	for {
		at := bytes.IndexByte(packed, hashMark)
		if at < 0 {
			return string(append(text, packed...)), nil
		}
		text = append(text, packed[:at]...)
		if packed = packed[at+1:]; len(packed) < hashSize {
			return "", errForeign
		}
		text = append(text, hashBegins...)
		text = hex.AppendEncode(text, packed[:hashSize])
		packed = packed[hashSize:]
	}
}
