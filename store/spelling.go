package store

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// mostSearched is how long a key may be, in bytes, to be searched for. Longer ones count
// as found.
const mostSearched = 1024

// reveals reports whether a text holds the key, or a good part of it, in a usual encoding:
// escaped as in URLs, Go, JSON or HTML, also several times; in hexadecimal or decimal
// digits; or in base64. Upper and lower case are the same, and so are a space, "+" and
// "-", and "/" and "_", which differ between variants of these. It may find what is not
// there, in a text that is like the key.
func reveals(text, key string) bool {
	switch {
	case key == "":
		return false
	case len(key) > mostSearched || strings.Contains(text, key):
		return true
	}
	needles := needlesOf(key)
	if found(text, needles) {
		return true
	}
	for range 3 {
		plain := unescape(text)
		// One after the other: what the first leaves may be the key, and look like HTML, as
		// "a&region=b" does.
		both := html.UnescapeString(plain)
		switch {
		case plain != text && found(plain, needles), both != plain && found(both, needles):
			return true
		case both == text:
			return false
		}
		text = both
	}
	return unescape(text) != text || html.UnescapeString(text) != text // escaped more often than anybody reads
}

// found reports whether a text holds one of the spellings of a key as it is.
func found(text string, needles []needle) bool {
	folded := fold(text)
	numbers := strings.ReplaceAll(strings.ReplaceAll(folded, ",", "-"), "--", "-")
	digits := strings.Map(hexDigit, strings.ReplaceAll(folded, "0x", ""))
	for _, n := range needles {
		if n.in(folded) || n.in(numbers) || n.in(digits) {
			return true
		}
	}
	return false
}

// A needle is a spelling of a key. Of a long one, a part is enough: keys are cut, and
// encodings differ in places.
type needle struct {
	text string
	part int // in bytes; about 12 bytes of the key
}

// needlesOf returns the spellings that unescape does not undo. Those of a very short key
// would be found everywhere.
func needlesOf(key string) []needle {
	needles := []needle{{fold(key), 12}}
	if !utf8.ValidString(key) {
		needles = append(needles, needle{fold(strings.ToValidUTF8(key, "\ufffd")), 12})
	}
	if len(key) < 4 {
		return needles
	}
	needles = append(needles, needle{hex.EncodeToString([]byte(key)), 24}, needle{fold(strings.Trim(fmt.Sprintf("%d", []byte(key)), "[]")), 40})
	// In base64 a key looks different, depending on how many bytes are before it. The first
	// and the last character may hold bits of what is before and behind it.
	for before, skip := range []int{0, 2, 3} {
		encoded := base64.RawStdEncoding.EncodeToString([]byte("\x00\x00"[:before] + key))
		if (before+len(key))%3 != 0 {
			encoded = encoded[:len(encoded)-1]
		}
		needles = append(needles, needle{fold(encoded[skip:]), 16})
	}
	return needles
}

// in reports whether text holds n, or a part of it that is longer than n.part by a third.
func (n needle) in(text string) bool {
	if len(n.text) <= n.part {
		return strings.Contains(text, n.text)
	}
	for at := 0; ; at += n.part / 3 {
		at = min(at, len(n.text)-n.part)
		if strings.Contains(text, n.text[at:at+n.part]) {
			return true
		}
		if at == len(n.text)-n.part {
			return false
		}
	}
}

// fold makes equal what encodings write differently. A long base64 text may be on several
// lines.
func fold(s string) string {
	b := make([]byte, 0, len(s))
	for _, c := range []byte(s) {
		switch {
		case 'A' <= c && c <= 'Z':
			b = append(b, c-'A'+'a')
		case c == ' ' || c == '+':
			b = append(b, '-')
		case c == '/':
			b = append(b, '_')
		case c == '\r' || c == '\n':
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// hexDigit drops what may be between hexadecimal digits, for [strings.Map].
func hexDigit(r rune) rune {
	if '0' <= r && r <= '9' || 'a' <= r && r <= 'f' {
		return r
	}
	return -1
}

// unescape undoes the escapes of URLs, Go and JSON, all at once.
func unescape(s string) string {
	if !strings.ContainsAny(s, `%\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for s != "" {
		n := 1
		switch s[0] {
		case '%':
			if c, err := strconv.ParseUint(s[1:min(len(s), 3)], 16, 8); err == nil && len(s) >= 3 {
				b, n = append(b, byte(c)), 3
			} else {
				b = append(b, '%')
			}
		case '\\':
			c, multibyte, rest, err := strconv.UnquoteChar(s, 0)
			pair := utf16.DecodeRune(codeUnit(s), codeUnit(s[min(len(s), 6):]))
			switch {
			case pair != utf8.RuneError: // JSON in ASCII writes what is beyond U+FFFF so
				b, n = utf8.AppendRune(b, pair), 12
			case err != nil && len(s) > 1: // JSON escapes a slash, JavaScript more
				b, n = append(b, s[1]), 2
			case err != nil:
				b = append(b, s[0])
			case multibyte:
				b, n = utf8.AppendRune(b, c), len(s)-len(rest)
			default:
				b, n = append(b, byte(c)), len(s)-len(rest)
			}
		default:
			b = append(b, s[0])
		}
		s = s[n:]
	}
	return string(b)
}

// codeUnit returns the number in an escape of JSON that s begins with, such as "\ud83d", or
// -1.
func codeUnit(s string) rune {
	if len(s) < 6 || s[:2] != `\u` {
		return -1
	}
	n, err := strconv.ParseUint(s[2:6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(n)
}
