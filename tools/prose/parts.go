package main

import (
	"go/scanner"
	"go/token"
	"strings"
)

// A part of a file is text that is checked: a comment, a string or all of it.
type part struct {
	line int // of its first line
	text string
}

// goParts returns the comments and string literals of a Go file.
func goParts(text string) []part {
	fset := token.NewFileSet()
	file := fset.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(file, []byte(text), nil, scanner.ScanComments)
	var parts []part
	for {
		pos, tok, literal := s.Scan()
		switch tok {
		case token.EOF:
			return parts
		case token.COMMENT, token.STRING:
			// By PositionFor, a comment such as //line changes nothing.
			parts = append(parts, part{fset.PositionFor(pos, false).Line, literal})
		}
	}
}

// luaParts returns the comments and string literals of a Lua file. Long brackets with = in
// them are not known.
func luaParts(text string) []part {
	var parts []part
	line := 1
	for text != "" {
		n := luaPart(text)
		if n == 0 {
			n = 1
		} else {
			parts = append(parts, part{line, text[:n]})
		}
		line += strings.Count(text[:n], "\n")
		text = text[n:]
	}
	return parts
}

// luaPart returns the length of the comment or string literal at the start of text, or 0.
func luaPart(text string) int {
	switch {
	case strings.HasPrefix(text, "--[["), strings.HasPrefix(text, "[["):
		return through(text, 2, "]]")
	case strings.HasPrefix(text, "--"):
		return through(strings.TrimSuffix(text, "\n"), 0, "\n")
	case text[0] == '"', text[0] == '\'':
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case text[0]:
				return i + 1
			}
		}
		return len(text)
	}
	return 0
}

// through returns the length of text up to and with the first end at or after from.
func through(text string, from int, end string) int {
	if i := strings.Index(text[from:], end); i >= 0 {
		return from + i + len(end)
	}
	return len(text)
}
