// Package docs_test holds README.md and every page in this folder to what they say: code
// compiles, commands exist, tables agree with the code, links lead somewhere.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// root is the folder of the repository.
const root = ".."

// A page is one Markdown file.
type page struct {
	path string // from the root, with slashes
	text string
}

// A block is a fenced block of a page.
type block struct {
	page     string
	language string
	text     string
}

// pages returns README.md and the pages in docs.
func pages(t *testing.T) []page {
	t.Helper()
	found := []page{readPage(t, "README.md")}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && filepath.Ext(path) == ".md" {
			found = append(found, readPage(t, "docs/"+filepath.ToSlash(path)))
		}
		return err
	})
	if err != nil || len(found) < 15 {
		t.Fatalf("%d pages, %v", len(found), err)
	}
	return found
}

func readPage(t *testing.T, path string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		t.Fatal(err)
	}
	return page{path, strings.ReplaceAll(string(text), "\r\n", "\n")}
}

var fence = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")

// blocks returns the fenced blocks of a page.
func (p page) blocks() []block {
	var found []block
	for _, m := range fence.FindAllStringSubmatch(p.text, -1) {
		found = append(found, block{p.path, m[1], m[2]})
	}
	return found
}

// prose returns the text of a page without its fenced blocks.
func (p page) prose() string { return fence.ReplaceAllString(p.text, "") }

// table returns the rows of the table whose first line begins with start.
func (p page) table(t *testing.T, start string) [][]string {
	t.Helper()
	_, rest, found := strings.Cut(p.text, "\n"+start)
	if !found {
		t.Fatalf("%s has no table that begins with %q", p.path, start)
	}
	rest, _, _ = strings.Cut(rest, "\n\n")
	_, rest, _ = strings.Cut(rest, "|---|")
	_, rest, _ = strings.Cut(rest, "\n")
	var rows [][]string
	for line := range strings.Lines(rest) {
		line = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "|"), "|")
		cells := strings.Split(line, "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows
}
