// Package jsontext reads JSON as RFC 8259 defines it, from a string or a stream, with the line
// and column of every value. Tables of limits are read with it, from requests and from files.
//
// It is several times as fast as encoding/json, and reports broken
// characters instead of replacing them. A fault shows nothing of the text, since any part of
// it may be an API key.
//
// Module ratelimit/plans/file uses this package, with a version of its own: additions are
// fine, other changes need a release of both modules.
package jsontext

import (
	"errors"
	"io"
	"unicode/utf8"
)

// A Position is a place in a text: line and column from 1, the column in characters.
type Position struct{ Line, Column int32 }

// A SyntaxError is the reason why a text is not JSON.
type SyntaxError struct {
	Position
	Found, Want string
}

// Error returns what was found and what would be right, without the place.
func (f *SyntaxError) Error() string { return "found " + f.Found + "; " + f.Want }

// A Scanner reads one JSON document, value by value. The texts that it returns are parts of
// the string or, of a stream, of a window of it: clone what is to be kept.
//
// An error is a *SyntaxError, or that of the stream. No method may be called after one.
type Scanner struct {
	in     io.Reader
	err    error // why there is nothing behind the window; io.EOF at the end of the text
	buffer []byte
	window string
	mark   int // where the token begins that is being read: a window keeps it
	i      int // of the next byte in the window
	line   int32
	start  int // of the line; negative if that is before the window
	wide   int // bytes of the line up to i that do not begin a character
	depth  int
}

// NewScanner returns a Scanner that reads text.
func NewScanner(text string) *Scanner { return &Scanner{window: text, err: io.EOF, line: 1} }

// NewReader returns a Scanner that reads r, in pieces.
func NewReader(r io.Reader) *Scanner {
	return &Scanner{in: r, buffer: make([]byte, 64<<10), line: 1}
}

// fill reads more behind the window. It drops what is before mark. It returns false at the end.
func (s *Scanner) fill() bool {
	if s.err != nil {
		return false
	}
	kept := s.window[s.mark:]
	if len(kept) > len(s.buffer) { // at least doubles a long token, so that its copies stay linear
		s.buffer = make([]byte, 2*len(kept))
	}
	n, empty := 0, 0
	for n <= len(kept) && n < len(s.buffer) && s.err == nil {
		var m int
		m, s.err = s.in.Read(s.buffer[n:])
		n += m
		if empty++; m > 0 {
			empty = 0
		} else if empty == 100 && s.err == nil {
			s.err = io.ErrNoProgress
		}
	}
	s.window = kept + string(s.buffer[:n])
	s.i -= s.mark
	s.start -= s.mark
	s.mark = 0
	return n > 0
}

// has reports whether n more bytes are in the window, and reads on if they are not.
func (s *Scanner) has(n int) bool {
	for len(s.window)-s.i < n {
		if !s.fill() {
			return false
		}
	}
	return true
}

// next skips space, and returns the byte behind it; 0 at the end.
func (s *Scanner) next() byte {
	for {
		for ; s.i < len(s.window); s.i++ {
			switch c := s.window[s.i]; c {
			case '\n':
				s.line, s.start, s.wide = s.line+1, s.i+1, 0
			case ' ', '\t', '\r':
			default:
				s.mark = s.i
				return c
			}
		}
		s.mark = s.i
		if !s.fill() {
			return 0
		}
	}
}

// pass goes on by one byte, which is part of a string.
func (s *Scanner) pass() {
	if !utf8.RuneStart(s.window[s.i]) {
		s.wide++
	}
	s.i++
}

func (s *Scanner) here() Position { return Position{s.line, int32(s.i-s.start-s.wide) + 1} }

// fault returns a fault of the next byte, or the error of the stream.
func (s *Scanner) fault(want string) error {
	found := "something else"
	if !s.has(1) {
		found = "the end of the file"
	}
	return s.faultAt(s.here(), found, want)
}

func (s *Scanner) faultAt(at Position, found, want string) error {
	if s.err != nil && !errors.Is(s.err, io.EOF) {
		return s.err
	}
	return &SyntaxError{at, found, want}
}
