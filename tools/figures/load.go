package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// A pkg is a package of the library with its types, tests not included.
type pkg struct {
	path   string // below the module of the repository, such as store/memstore
	fset   *token.FileSet
	syntax []*ast.File
	info   *types.Info
	types  *types.Package
}

// listed is what go list reports about a package.
type listed struct {
	Dir, ImportPath, Name, Export string
	GoFiles                       []string
	DepOnly                       bool
}

// load returns the packages of the library in the order of their paths.
func load(ctx context.Context, root string) ([]*pkg, error) {
	modules, err := libraryModules(ctx, root)
	if err != nil {
		return nil, err
	}
	base, err := output(ctx, root, "go", "list", "-m")
	if err != nil {
		return nil, err
	}
	var packages []*pkg
	for _, dir := range modules {
		patterns := []string{"./..."}
		if dir == "." {
			patterns = libraryPatterns
		}
		of, err := loadModule(ctx, filepath.Join(root, dir), patterns)
		if err != nil {
			return nil, err
		}
		for _, p := range of {
			p.path = strings.TrimPrefix(p.path, strings.TrimSpace(base)+"/")
		}
		packages = append(packages, of...)
	}
	return packages, nil
}

var libraryPatterns = []string{"./ratelimit/...", "./store/...", "./middleware/..."}

// libraryModules returns the folders of the modules with packages of the library. One with
// tests only adds nothing.
func libraryModules(ctx context.Context, root string) ([]string, error) {
	modules := []string{"."}
	tracked, err := libraryFiles(ctx, root)
	if err != nil {
		return nil, err
	}
	for _, name := range tracked {
		if dir, file := filepath.Split(name); file == "go.mod" {
			modules = append(modules, filepath.Clean(dir))
		}
	}
	return modules, nil
}

func loadModule(ctx context.Context, dir string, patterns []string) ([]*pkg, error) {
	out, err := output(ctx, dir, "go", append([]string{"list", "-json", "-export", "-deps", "--"}, patterns...)...)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	var roots []listed
	for decoder := json.NewDecoder(strings.NewReader(out)); ; {
		var l listed
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		exports[l.ImportPath] = l.Export
		if !l.DepOnly && len(l.GoFiles) > 0 {
			roots = append(roots, l)
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(exports[path])
	})
	packages := make([]*pkg, 0, len(roots))
	for _, l := range roots {
		var syntax []*ast.File
		for _, name := range l.GoFiles {
			file, err := parser.ParseFile(fset, filepath.Join(l.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, err
			}
			syntax = append(syntax, file)
		}
		p, err := check(l.ImportPath, fset, syntax, imports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.ImportPath, err)
		}
		packages = append(packages, p)
	}
	return packages, nil
}

// check finds the types of a package.
func check(path string, fset *token.FileSet, syntax []*ast.File, imports types.Importer) (p *pkg, err error) {
	p = &pkg{path: path, fset: fset, syntax: syntax, info: &types.Info{Uses: map[*ast.Ident]types.Object{}}}
	p.types, err = (&types.Config{Importer: imports}).Check(path, fset, syntax, p.info)
	return p, err
}
