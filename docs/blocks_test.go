package docs_test

import (
	"go/format"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// languages is what becomes of the blocks of each language.
var languages = map[string]string{
	"go":      "is compiled in another module, by TestBlocksBuildOutsideThisModule; of coming-from, by its own tests",
	"sh":      "is run there",
	"console": "is compared with what the command prints, here or beside the example; that of operating.md, with the paths of the handler",
	"text":    "is compared with the code beside it, in middleware/interop and examples/comingfrom",
	"yaml":    "is read by the tests of plans/file",
	"nginx":   "is run in middleware/interop",
	"haproxy": "is run in middleware/interop",
}

// TestEveryBlockIsChecked knows of each language what checks it, and formats the Go code.
func TestEveryBlockIsChecked(t *testing.T) {
	for _, p := range pages(t) {
		for _, b := range p.blocks() {
			if languages[b.language] == "" {
				t.Errorf("%s: nothing checks a block of %q:\n%s", p.path, b.language, b.text)
			}
			if b.language != "go" {
				continue
			}
			formatted, err := format.Source([]byte(b.text))
			if err != nil || string(formatted) != b.text {
				t.Errorf("%s: gofmt would change this block: %v\n%s", p.path, err, b.text)
			}
		}
	}
}

// A source is the Go code of the pages, by kind: programs and packages by the folder of a
// module in which they stand.
type source struct {
	programs  map[string]string            // the only file
	packages  map[string]map[string]string // the files by name
	prints    map[string]string            // what the programs print that say so
	tests     int                          // files of packages with tests
	fragments []block                      // statements
}

// program is the folder of the first program of README.md.
const program = "readme0"

// sources sorts the Go code of the pages.
func sources(t *testing.T) source {
	t.Helper()
	s := source{programs: map[string]string{}, packages: map[string]map[string]string{}, prints: map[string]string{}}
	for _, p := range pages(t) {
		if strings.HasPrefix(p.path, "docs/coming-from/") {
			continue // needs other limiters: examples/comingfrom
		}
		name := strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(p.path[strings.LastIndex(p.path, "/")+1:], ".md"), "-", ""))
		for i, b := range slices.DeleteFunc(p.blocks(), func(b block) bool { return b.language != "go" }) {
			folder := name + strconv.Itoa(i)
			first, _, _ := strings.Cut(b.text, "\n")
			switch {
			case first == "package main":
				s.programs[folder] = b.text
				if _, comment, found := strings.Cut(b.text, "// prints:\n"); found {
					s.prints[folder] = comments(comment)
				}
			case strings.HasPrefix(first, "package ") || strings.HasPrefix(first, "// Package "):
				file := "file.go"
				if strings.Contains(b.text, "import (\n") && strings.Contains(b.text, "\"testing\"\n") {
					file, s.tests = "file_test.go", s.tests+1
				}
				s.packages[folder] = map[string]string{file: b.text}
			default:
				s.fragments = append(s.fragments, b)
			}
		}
	}
	if len(s.programs) < 5 || s.tests < 2 || len(s.prints) < 1 || len(s.fragments) < 12 {
		t.Errorf("found %d programs, %d of them with output, %d tests and %d fragments: there are more",
			len(s.programs), len(s.prints), s.tests, len(s.fragments))
	}
	return s
}

// comments returns the text of comment lines, up to the first line that is none.
func comments(code string) string {
	var text strings.Builder
	for line := range strings.Lines(code) {
		line, found := strings.CutPrefix(strings.TrimLeft(line, "\t"), "// ")
		if !found {
			break
		}
		text.WriteString(line)
	}
	return text.String()
}
