package jsontext

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// plain are the bytes that mean themselves in a string and are characters of their own.
var plain = func() (plain [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		plain[c] = c != '"' && c != '\\'
	}
	return plain
}()

const wantQuote = "must end with a double quote"

// text reads a string. One without escapes is a part of the window, not a copy.
func (s *Scanner) text() (string, error) {
	at := s.here()
	s.i++
	s.mark = s.i
	for {
		for s.i < len(s.window) && plain[s.window[s.i]] {
			s.i++
		}
		if !s.has(1) {
			return "", s.faultAt(at, "a text that is not closed", wantQuote)
		}
		switch c := s.window[s.i]; {
		case c == '"':
			s.i++
			return s.window[s.mark : s.i-1], nil
		case c == '\\':
			return s.escaped(at, s.window[s.mark:s.i])
		case c < ' ':
			return "", s.faultAt(at, "a text that is not closed on its line", wantQuote)
		default:
			s.pass()
		}
	}
}

// escaped reads the rest of a string, from its first escape on.
func (s *Scanner) escaped(at Position, begin string) (string, error) {
	text := []byte(begin)
	for s.mark = s.i; s.has(1); s.mark = s.i {
		c := s.window[s.i]
		switch {
		case c == '"':
			s.i++
			return string(text), nil
		case c < ' ':
			return "", s.faultAt(at, "a text that is not closed on its line", wantQuote)
		case c != '\\':
			text = append(text, c)
			s.pass()
			continue
		}
		s.i++
		if !s.has(1) {
			break
		}
		c = s.window[s.i]
		if c == 'u' {
			r, ok := s.unicode()
			if !ok {
				return "", s.fault(`must be \u and four hexadecimal digits of a character; characters beyond U+FFFF are two of them`)
			}
			text = utf8.AppendRune(text, r)
			continue
		}
		known := strings.IndexByte(`"\/bfnrt`, c)
		if known < 0 {
			return "", s.fault(`must be one of the escapes \" \\ \/ \b \f \n \r \t \u`)
		}
		text = append(text, "\"\\/\b\f\n\r\t"[known])
		s.i++
	}
	return "", s.faultAt(at, "a text that is not closed", wantQuote)
}

// unicode reads the u of an escape, its digits, and the second half if there must be one.
// Half a character is a fault: two keys must not become one.
func (s *Scanner) unicode() (rune, bool) {
	r, ok := s.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if !s.has(2) || s.window[s.i:s.i+2] != `\u` {
		return 0, false
	}
	s.i++
	low, ok := s.hex4()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

func (s *Scanner) hex4() (r rune, ok bool) {
	s.i++
	if !s.has(4) {
		return 0, false
	}
	for _, c := range []byte(s.window[s.i : s.i+4]) {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 || c < '0' {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	s.i += 4
	return r, true
}
