package jsontext

import "strings"

// number goes to the end of a number. It returns false where a digit is missing.
func (s *Scanner) number() bool {
	s.one("-")
	if !s.one("0") && !s.digits() {
		return false
	}
	if s.one(".") && !s.digits() {
		return false
	}
	if s.one("eE") {
		s.one("+-")
		return s.digits()
	}
	return true
}

func (s *Scanner) digits() (some bool) {
	for s.one("0123456789") {
		some = true
	}
	return some
}

// one passes one byte if it is one of these.
func (s *Scanner) one(of string) bool {
	if s.has(1) && strings.IndexByte(of, s.window[s.i]) >= 0 {
		s.i++
		return true
	}
	return false
}
