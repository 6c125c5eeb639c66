package main

import (
	"path"
	"regexp"
	"strings"
)

// avoided is what a text must not say. Better words are: reports or returns; the client, the
// caller or the operator; and a sentence of its own.
var avoided = regexp.MustCompile(`(?i)\b(tells? (whether|of|that|how|why|what|each|from|apart)|(is|are|was|be|been) told|nobody|whoever|whomever|as ever|likewise|hardly|of which)\b`) // prose:ok

// checked reports whether a file is checked, by its path in the repository.
func checked(name string) bool {
	if strings.Contains("/"+name, "/testdata/") {
		return false
	}
	switch path.Ext(name) {
	case ".go", ".lua", ".md":
		return true
	}
	return strings.HasPrefix(name, ".ci/")
}

// A finding is a line that matches.
type finding struct {
	line        int
	match, text string
}

// find returns the findings in a file.
func find(name, text string) []finding {
	var found []finding
	parts := []part{{1, text}}
	switch path.Ext(name) {
	case ".go":
		parts = goParts(text)
	case ".lua":
		parts = luaParts(text)
	}
	quotations := strings.Contains("/"+name, "/coming-from/")
	lines := strings.Split(text, "\n")
	seen := 0 // the last line found: one with two matches is one finding
	for _, p := range parts {
		for i, line := range strings.Split(p.text, "\n") {
			match := avoided.FindString(line)
			whole := strings.TrimSpace(lines[p.line+i-1])
			switch {
			case match == "" || p.line+i == seen:
			case strings.HasSuffix(strings.TrimSuffix(whole, " -->"), "prose:ok"):
			case quotations && strings.HasPrefix(whole, ">"):
			default:
				seen = p.line + i
				found = append(found, finding{seen, match, whole})
			}
		}
	}
	return found
}
