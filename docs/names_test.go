package docs_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// packages are the folders of the packages that pages name.
var packages = map[string]string{
	"ratelimit": "ratelimit", "gcra": "ratelimit/gcra", "plans": "ratelimit/plans", "file": "ratelimit/plans/file", "replay": "ratelimit/replay",
	"store": "store", "memstore": "store/memstore", "redisstore": "store/redisstore", "mirror": "store/mirror", "storetest": "store/storetest",
	"middleware": "middleware", "admin": "middleware/admin", "transport": "middleware/transport", "usage": "middleware/usage",
	"doorstest": "middleware/doorstest", "ginlimit": "middleware/ginlimit", "fiberlimit": "middleware/fiberlimit", "echolimit": "middleware/echolimit", "echov4limit": "middleware/echov4limit",
	"grpclimit": "middleware/grpclimit", "connectlimit": "middleware/connectlimit", "connectv2limit": "middleware/connectv2limit",
}

// TestNamesExist looks up each name of an exported package, type, method or field that the text of
// a page quotes. In the table of names of CHANGELOG.md the left column has those that are gone.
func TestNamesExist(t *testing.T) {
	exported := map[string]bool{}
	for name, folder := range packages {
		collect(t, exported, name, filepath.Join(root, folder))
	}
	all := append(pages(t), readPage(t, "SECURITY.md"), readPage(t, "CONTRIBUTING.md"), readPage(t, "CHANGELOG.md"))
	qualified := regexp.MustCompile(`\b([a-z]+)\.([A-Z]\w*)(?:\.([A-Z]\w*))?`)
	quoted := regexp.MustCompile("`[^`\n]+`")
	renamed := regexp.MustCompile(`(?m)^ *\| (.*) \| (.*) \|$`)
	names, gone := 0, 0
	for _, p := range all {
		text := p.prose()
		if p.path == "CHANGELOG.md" {
			for _, row := range renamed.FindAllStringSubmatch(text, -1) {
				for _, m := range qualified.FindAllStringSubmatch(row[1], -1) {
					gone++
					if m[1] != "limitsfile" && exported[m[0]] {
						t.Errorf("%s: %s still exists", p.path, m[0])
					}
				}
			}
		}
		if p.path == "CHANGELOG.md" || strings.HasPrefix(p.path, "docs/coming-from/") {
			text = renamed.ReplaceAllString(text, "$2") // on the left are other libraries
		}
		for _, quote := range quoted.FindAllString(text, -1) {
			for _, m := range qualified.FindAllStringSubmatch(quote, -1) {
				if packages[m[1]] == "" {
					continue // of another module
				}
				names++
				if !exported[m[0]] {
					t.Errorf("%s: there is no %s", p.path, m[0])
				}
			}
		}
	}
	if names < 50 || gone < 10 {
		t.Errorf("only %d names, and %d that are gone, were found", names, gone)
	}
}

// collect notes what the package in dir exports, as NAME.X, and the methods and fields of X as NAME.X.Y.
func collect(t *testing.T, exported map[string]bool, name, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", dir, len(files), err)
	}
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				exported[name+"."+owner(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					declare(exported, name+".", spec)
				}
			}
		}
	}
}

// declare notes the names of a specification, and the fields or methods of a type.
func declare(exported map[string]bool, prefix string, spec ast.Spec) {
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			exported[prefix+name.Name] = true
		}
	case *ast.TypeSpec:
		exported[prefix+s.Name.Name] = true
		var members *ast.FieldList
		switch kind := s.Type.(type) {
		case *ast.StructType:
			members = kind.Fields
		case *ast.InterfaceType:
			members = kind.Methods
		default:
			return
		}
		for _, member := range members.List {
			for _, name := range member.Names {
				exported[prefix+s.Name.Name+"."+name.Name] = true
			}
		}
	}
}

// owner returns the type of a method and a dot, or nothing.
func owner(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	kind := f.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
