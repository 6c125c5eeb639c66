package jsontext

import (
	"errors"
	"io"
	"strings"
)

// maxDepth bounds how deep values are nested. A table has 4 levels.
const maxDepth = 100

// A Kind is a kind of values.
type Kind uint8

// The kinds of values.
const (
	Text Kind = iota
	Number
	Bool
	Null
	List
	Map
)

// A Value is a value, or the beginning of a list or a map.
type Value struct {
	Position
	Kind Kind
	Text string // of a scalar; of a Text without quotes and escapes
}

// Value reads the next value. A list or a map has only begun then: read the rest with Items,
// Entries or Skip.
func (s *Scanner) Value() (Value, error) {
	c := s.next()
	v := Value{Position: s.here()}
	var err error
	switch {
	case c == '{', c == '[':
		v.Kind = List
		if c == '{' {
			v.Kind = Map
		}
		if s.depth++; s.depth > maxDepth {
			return v, s.faultAt(s.here(), "too many lists and maps in each other", "must have the shape of a file of limits: default, plans, members, keys, organisations")
		}
		s.i++
	case c == '"':
		v.Text, err = s.text()
	case c == '-' || c >= '0' && c <= '9':
		v.Kind = Number
		if !s.number() {
			return v, s.fault("must be a digit, of a number; a limit is a text in quotes, such as \"5/s\"")
		}
		v.Text = s.window[s.mark:s.i]
	default:
		for _, word := range []string{"true", "false", "null"} {
			if word[0] == c && s.has(len(word)) && strings.HasPrefix(s.window[s.i:], word) {
				s.i += len(word)
				v.Kind, v.Text = Bool, word
				if word == "null" {
					v.Kind = Null
				}
				return v, nil
			}
		}
		return v, s.fault(`must be a value of JSON, such as "5/s" in double quotes; comments can be written in YAML only`)
	}
	return v, err
}

// Entries calls entry with each name of a map that has begun. entry must read the value. The
// name is a part of the window: see Scanner.
func (s *Scanner) Entries(entry func(at Position, name string) error) error {
	for c := s.next(); c != '}'; {
		if c != '"' {
			return s.fault(`must be a name in double quotes, or "}"; there is no comma behind the last entry`)
		}
		at := s.here()
		name, err := s.text()
		if err != nil {
			return err
		}
		if s.next() != ':' {
			return s.fault(`must be a ":" behind the name`)
		}
		s.i++
		if err := entry(at, name); err != nil {
			return err
		}
		if c, err = s.comma('}', "entry"); err != nil {
			return err
		}
	}
	return s.leave()
}

// Items calls item with each item of a list that has begun.
func (s *Scanner) Items(item func(Value) error) error {
	for c := s.next(); c != ']'; {
		v, err := s.Value()
		if err != nil {
			return err
		}
		if err := item(v); err != nil {
			return err
		}
		if c, err = s.comma(']', "item"); err != nil {
			return err
		}
	}
	return s.leave()
}

// comma reads the comma behind an entry or an item, and returns the byte behind that; or it
// returns the bracket that ends them.
func (s *Scanner) comma(end byte, of string) (byte, error) {
	switch s.next() {
	case end:
		return end, nil
	case ',':
		s.i++
		c := s.next()
		if c == end {
			return 0, s.fault("must be one more " + of + " behind the comma, or there must be no comma")
		}
		return c, nil
	}
	return 0, s.fault(`must be "," or "` + string(end) + `" behind an ` + of)
}

// leave passes the bracket that ends a list or a map.
func (s *Scanner) leave() error {
	s.i++
	s.depth--
	return nil
}

// Skip reads the rest of v.
func (s *Scanner) Skip(v Value) error {
	switch v.Kind {
	case List:
		return s.Items(s.Skip)
	case Map:
		return s.Entries(func(Position, string) error {
			v, err := s.Value()
			if err != nil {
				return err
			}
			return s.Skip(v)
		})
	}
	return nil
}

// End returns an error if anything but space is left.
func (s *Scanner) End() error {
	s.next()
	if s.has(1) {
		return s.faultAt(s.here(), "more behind the end of the document", "must be one JSON document")
	}
	if !errors.Is(s.err, io.EOF) {
		return s.err
	}
	return nil
}
