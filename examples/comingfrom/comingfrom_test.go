// Package comingfrom_test holds the pages to what they say of keyrate and of each other.
package comingfrom_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// folder holds the pages.
const folder = "../../docs/coming-from"

// index is the page that lists the others.
var index = filepath.Join(folder, "README.md")

// TestIndex compares the code in the index with the package that is tested, and looks
// for a row for each page.
func TestIndex(t *testing.T) {
	text := read(t, index)
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(text, -1)
	files := []string{"gradually/watch.go", "gradually/limit.go"}
	if len(blocks) != len(files) {
		t.Fatalf("the index has %d blocks of Go, want %d", len(blocks), len(files))
	}
	for i, file := range files {
		if want := read(t, file); blocks[i][1] != want {
			t.Errorf("block %d of the index is not %s:\n%s", i, file, want)
		}
	}
	for _, page := range pages(t) {
		if !strings.Contains(text, "]("+filepath.Base(page)+")") {
			t.Errorf("the index does not name %s", page)
		}
	}
}

// TestLinks looks for the files that the pages link to, and the headings in them.
func TestLinks(t *testing.T) {
	for _, page := range append(pages(t), index) {
		links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllStringSubmatch(read(t, page), -1)
		if len(links) == 0 {
			t.Errorf("%s has no links", page)
		}
		for _, link := range links {
			file, heading, _ := strings.Cut(link[1], "#")
			target := page
			if file != "" {
				target = filepath.Join(filepath.Dir(page), file)
			}
			text := strings.ToLower(read(t, target))
			if heading != "" && !strings.Contains(text, "# "+strings.ReplaceAll(heading, "-", " ")+"\n") {
				t.Errorf("%s: %s has no such heading", page, link[1])
			}
		}
	}
}

// TestNames looks up each name of keyrate's in the tables of names: the right column.
func TestNames(t *testing.T) {
	exported := map[string]bool{}
	for _, dir := range []string{"middleware", "ratelimit", "ratelimit/plans", "store", "store/memstore", "store/redisstore"} {
		collect(t, exported, filepath.Join("../..", dir))
	}
	for _, page := range pages(t) {
		_, table, found := strings.Cut(read(t, page), "## Names\n\n")
		if !found {
			t.Errorf("%s has no names", page)
			continue
		}
		table, _, _ = strings.Cut(table, "\n\n")
		names := 0
		for row := range strings.Lines(table) {
			cells := strings.Split(row, "|")
			if len(cells) != 4 {
				t.Errorf("%s: a row of %d cells: %s", page, len(cells), row)
				continue
			}
			for _, name := range regexp.MustCompile(`\b(?:middleware|ratelimit|plans|store|memstore|redisstore)\.[A-Z]\w*(?:\.[A-Z]\w*)?`).FindAllString(cells[2], -1) {
				names++
				if !exported[name] {
					t.Errorf("%s: there is no %s", page, name)
				}
			}
		}
		if names < 10 {
			t.Errorf("%s: only %d names were found", page, names)
		}
	}
}

// collect notes what a package exports, as NAME.X, and X's methods and fields as NAME.X.Y.
func collect(t *testing.T, exported map[string]bool, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		prefix := file.Name.Name + "."
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				name := prefix + d.Name.Name
				if d.Recv != nil {
					name = prefix + receiver(d.Recv.List[0].Type) + "." + d.Name.Name
				}
				exported[name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					specified(exported, prefix, spec)
				}
			}
		}
	}
}

func specified(exported map[string]bool, prefix string, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			exported[prefix+name.Name] = true
		}
	case *ast.TypeSpec:
		exported[prefix+s.Name.Name] = true
		structure, ok := s.Type.(*ast.StructType)
		if !ok {
			return
		}
		for _, field := range structure.Fields.List {
			for _, name := range field.Names {
				exported[prefix+s.Name.Name+"."+name.Name] = true
			}
		}
	}
}

func receiver(e ast.Expr) string {
	if star, ok := e.(*ast.StarExpr); ok {
		e = star.X
	}
	if name, ok := e.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(folder, "*.md"))
	found = slices.DeleteFunc(found, func(path string) bool { return path == index })
	if err != nil || len(found) != 5 {
		t.Fatalf("%d pages, %v; want 5", len(found), err)
	}
	return found
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
