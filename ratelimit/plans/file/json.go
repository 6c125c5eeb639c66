package file

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// A jsonScanner reads JSON as RFC 8259 has it, with the line of everything. encoding/json
// takes four times as long for a million keys, and hides lines and broken characters.
type jsonScanner struct {
	text  string
	ascii bool
	i     int   // of the next byte
	line  int32 // that it is on
	start int   // of that line
	depth int

	counted, characters int // up to where the line was counted, and how many there are
}

// maxDepth bounds how deep values may lie in each other. A file of limits needs 3.
const maxDepth = 100

// A jsonFault is why a file is no JSON.
type jsonFault struct {
	at          position
	found, want string
}

func (s *jsonScanner) here() position {
	if s.ascii {
		return position{s.line, int32(s.i-s.start) + 1}
	}
	// On from where it was counted last: all of a file may be one line.
	if s.counted < s.start {
		s.counted, s.characters = s.start, 0
	}
	s.characters += utf8.RuneCountInString(s.text[s.counted:s.i])
	s.counted = s.i
	return position{s.line, int32(s.characters) + 1}
}

// fault tells of the next byte. It does not show it: that may be one of a key.
func (s *jsonScanner) fault(want string) *jsonFault {
	found := "something else"
	if s.i >= len(s.text) {
		found = "the end of the file"
	}
	return &jsonFault{s.here(), found, want}
}

func (s *jsonScanner) space() {
	for ; s.i < len(s.text); s.i++ {
		switch s.text[s.i] {
		case '\n':
			s.line, s.start = s.line+1, s.i+1
		case ' ', '\t', '\r':
		default:
			return
		}
	}
}

// next skips space, and returns the byte behind it; 0 at the end.
func (s *jsonScanner) next() byte {
	s.space()
	if s.i < len(s.text) {
		return s.text[s.i]
	}
	return 0
}

func (s *jsonScanner) document() (node, *jsonFault) {
	n, fault := s.value()
	if fault != nil {
		return n, fault
	}
	if s.next(); s.i < len(s.text) {
		return n, &jsonFault{s.here(), "more behind the end of the document", "must be one JSON document"}
	}
	return n, nil
}

func (s *jsonScanner) value() (node, *jsonFault) {
	c := s.next()
	n := node{at: s.here()}
	switch {
	case c == '{':
		return s.object()
	case c == '[':
		return s.array()
	case c == '"':
		text, fault := s.quoted()
		n.text = text
		return n, fault
	case c == '-' || c >= '0' && c <= '9':
		n.kind = kindNumber
		begin := s.i
		if !s.number() {
			return n, s.fault("must be a digit, of a number; a limit is a text in quotes, such as \"5/s\"")
		}
		n.text = s.text[begin:s.i]
		return n, nil
	}
	n.kind = kindWord
	for _, word := range []string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.i:], word) {
			s.i += len(word)
			if word == "null" {
				n.kind = kindEmpty
				return n, nil
			}
			n.text = word
			return n, nil
		}
	}
	return n, s.fault(`must be a value of JSON, such as "5/s" in double quotes; comments can be written in YAML only`)
}

// enter goes one level down.
func (s *jsonScanner) enter() *jsonFault {
	if s.depth++; s.depth > maxDepth {
		return &jsonFault{s.here(), "too many lists and maps in each other", "must have the shape of a file of limits: default, plans, members, keys"}
	}
	s.i++
	return nil
}

func (s *jsonScanner) object() (node, *jsonFault) {
	n := node{at: s.here(), kind: kindMap, inside: new(inside)}
	if fault := s.enter(); fault != nil {
		return n, fault
	}
	for c := s.next(); c != '}'; {
		if c != '"' {
			return n, s.fault(`must be a name in double quotes, or "}"; there is no comma behind the last entry`)
		}
		e := entry{at: s.here()}
		var fault *jsonFault
		if e.key, fault = s.quoted(); fault != nil {
			return n, fault
		}
		if s.next() != ':' {
			return n, s.fault(`must be a ":" behind the name`)
		}
		s.i++
		if e.value, fault = s.value(); fault != nil {
			return n, fault
		}
		n.inside.entries = append(n.inside.entries, e)
		if c = s.next(); c == '}' {
			break
		}
		if c != ',' {
			return n, s.fault(`must be "," or "}" behind an entry`)
		}
		s.i++
		if c = s.next(); c == '}' {
			return n, s.fault("must be one more entry behind the comma, or there must be no comma")
		}
	}
	s.i++
	s.depth--
	return n, nil
}

func (s *jsonScanner) array() (node, *jsonFault) {
	n := node{at: s.here(), kind: kindList, inside: new(inside)}
	if fault := s.enter(); fault != nil {
		return n, fault
	}
	for c := s.next(); c != ']'; {
		item, fault := s.value()
		if fault != nil {
			return n, fault
		}
		n.inside.items = append(n.inside.items, item)
		if c = s.next(); c == ']' {
			break
		}
		if c != ',' {
			return n, s.fault(`must be "," or "]" behind an item`)
		}
		s.i++
		if c = s.next(); c == ']' {
			return n, s.fault("must be one more item behind the comma, or there must be no comma")
		}
	}
	s.i++
	s.depth--
	return n, nil
}

// number goes to the end of a number.
func (s *jsonScanner) number() bool {
	digits := func() bool {
		begin := s.i
		for s.i < len(s.text) && s.text[s.i] >= '0' && s.text[s.i] <= '9' {
			s.i++
		}
		return s.i > begin
	}
	is := func(one string) bool {
		if s.i < len(s.text) && strings.IndexByte(one, s.text[s.i]) >= 0 {
			s.i++
			return true
		}
		return false
	}
	is("-")
	if !is("0") && !digits() {
		return false
	}
	if is(".") && !digits() {
		return false
	}
	if is("eE") {
		is("+-")
		return digits()
	}
	return true
}

// quoted reads a string. One without escapes is a part of the text, not a copy.
func (s *jsonScanner) quoted() (string, *jsonFault) {
	at := s.here()
	s.i++
	begin := s.i
	for ; s.i < len(s.text); s.i++ {
		switch c := s.text[s.i]; {
		case c == '"':
			s.i++
			return s.text[begin : s.i-1], nil
		case c == '\\':
			return s.escaped(at, s.text[begin:s.i])
		case c < ' ':
			return "", &jsonFault{at, "a text that is not closed on its line", `must end with a double quote`}
		}
	}
	return "", &jsonFault{at, "a text that is not closed", `must end with a double quote`}
}

// escaped reads the rest of a string, from its first escape on.
func (s *jsonScanner) escaped(at position, begin string) (string, *jsonFault) {
	text := []byte(begin)
	for s.i < len(s.text) {
		c := s.text[s.i]
		switch {
		case c == '"':
			s.i++
			return string(text), nil
		case c < ' ':
			return "", &jsonFault{at, "a text that is not closed on its line", `must end with a double quote`}
		case c != '\\':
			text = append(text, c)
			s.i++
			continue
		}
		s.i++
		if s.i >= len(s.text) {
			break
		}
		c = s.text[s.i]
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
	return "", &jsonFault{at, "a text that is not closed", `must end with a double quote`}
}

// unicode reads the u of an escape, its digits, and the second half if there must be one.
// Half a character is refused: two keys must not become one.
func (s *jsonScanner) unicode() (rune, bool) {
	r, ok := s.hex4()
	if !ok || !utf16.IsSurrogate(r) {
		return r, ok
	}
	if !strings.HasPrefix(s.text[s.i:], `\u`) {
		return 0, false
	}
	s.i++
	low, ok := s.hex4()
	r = utf16.DecodeRune(r, low)
	return r, ok && r != utf8.RuneError
}

func (s *jsonScanner) hex4() (r rune, ok bool) {
	s.i++
	if s.i+4 > len(s.text) {
		return 0, false
	}
	for _, c := range []byte(s.text[s.i : s.i+4]) {
		digit := strings.IndexByte("0123456789abcdef", c|0x20)
		if digit < 0 || c < '0' {
			return 0, false
		}
		r = r<<4 | rune(digit)
	}
	s.i += 4
	return r, true
}
