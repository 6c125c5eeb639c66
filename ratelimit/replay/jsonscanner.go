package replay

import (
	"bytes"
	"encoding/json"
)

// A jsonScanner reads the values of a line of JSON, from the left to the right.
type jsonScanner struct{ rest []byte }

// next passes over spaces and returns the next byte, or 0 at the end.
func (s *jsonScanner) next() byte {
	for i, c := range s.rest {
		if c != ' ' && c != '\t' && c != '\r' {
			s.rest = s.rest[i:]
			return c
		}
	}
	s.rest = nil
	return 0
}

// text reads a string whose opening quote comes next.
func (s *jsonScanner) text() (text []byte, ok bool) {
	for end := 1; ; end++ {
		n := bytes.IndexByte(s.rest[end:], '"')
		if n < 0 {
			return nil, false
		}
		if end += n; escaped(s.rest[1:end]) {
			continue
		}
		quoted := s.rest[:end+1]
		s.rest = s.rest[end+1:]
		if bytes.IndexByte(quoted, '\\') < 0 {
			return quoted[1:end], true
		}
		var decoded string
		if json.Unmarshal(quoted, &decoded) != nil {
			return nil, false
		}
		return []byte(decoded), true
	}
}

// value reads a text, or a number or a literal as it is written; of an array, its first element.
// It returns nil for null, errValue for other values and errJSON for what is none.
func (s *jsonScanner) value() ([]byte, error) {
	switch s.next() {
	case '"':
		if text, ok := s.text(); ok {
			return text, nil
		}
		return nil, errJSON
	case '{':
		if s.skip() {
			return nil, errValue
		}
		return nil, errJSON
	case '[':
		array := s.rest
		if !s.skip() {
			return nil, errJSON
		}
		first := jsonScanner{rest: array[1:]}
		switch first.next() {
		case ']':
			return nil, nil
		case '[':
			return nil, errValue
		}
		return first.value()
	}
	word := s.rest
	if !s.skip() {
		return nil, errJSON
	}
	if word = word[:len(word)-len(s.rest)]; string(word) == "null" {
		return nil, nil
	}
	return word, nil
}

// skip passes over a value.
func (s *jsonScanner) skip() bool {
	open := 0 // brackets and braces
	for {
		switch s.next() {
		case '"':
			if _, ok := s.text(); !ok {
				return false
			}
		case '{', '[':
			open++
			s.rest = s.rest[1:]
			continue
		case '}', ']':
			if open--; open < 0 {
				return false
			}
			s.rest = s.rest[1:]
		case ',', ':':
			if open == 0 {
				return false
			}
			s.rest = s.rest[1:]
			continue
		default:
			if !s.word() {
				return false
			}
		}
		if open == 0 {
			return true
		}
	}
}

// word passes over a number or a literal.
func (s *jsonScanner) word() bool {
	for i, c := range s.rest {
		switch c {
		case ' ', '\t', '\r', ',', ':', ']', '}', '[', '{', '"':
			s.rest = s.rest[i:]
			return i > 0
		}
	}
	some := len(s.rest) > 0
	s.rest = nil
	return some
}
