package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"testing"
)

func checkSource(t *testing.T, files map[string]string) *pkg {
	t.Helper()
	fset := token.NewFileSet()
	var syntax []*ast.File
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file, err := parser.ParseFile(fset, name, "package p\n"+files[name], parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		syntax = append(syntax, file)
	}
	p, err := check("p", fset, syntax, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestExported(t *testing.T) {
	p := checkSource(t, map[string]string{"a.go": `
const A, b = 1, 2
var V int
func F() {}
type T struct{ Field int; u }
func (T) M() {}
func (*T) N() {}
func (T) o() {}
type u struct{}
func (u) Promoted() {}
type I interface{ Method() }
type Alias = T
`})
	if n := exported(p.types); n != 8 { // A, V, F, T, T.M, T.N, I, Alias
		t.Errorf("%d exported names; want 8", n)
	}
}

func TestPairs(t *testing.T) {
	p := checkSource(t, map[string]string{
		"a.go": `func a() { b(); generic[int](1) }`,
		"b.go": `func b() { c() }
type i interface{ m() }
func (t t) n() { a() }
func generic[T any](T) {}`,
		"c.go": `func c() { d(); var x i; x.m() }
type t struct{}`,
		"d.go": `func d() { a(); f := c; f() }`,
	})
	both, loops := p.pairs()
	if want := []pair{{"a.go", "b", "b.go", "a"}}; !slices.Equal(both, want) || loops != 6 {
		t.Errorf("pairs %v and %d through other files; want %v and 6", both, loops, want)
	}
}

func TestExecutedFiles(t *testing.T) {
	const profile = `mode: atomic
m/ratelimit/a.go:1.2,3.4 2 0
m/ratelimit/a.go:5.2,6.4 2 10
m/ratelimit/b.go:5.2,6.4 2 0
m/tools/figures/request/main.go:5.2,6.4 2 1
`
	if got, want := executedFiles(profile, "m/"), []string{"ratelimit/a.go"}; !slices.Equal(got, want) {
		t.Errorf("%v; want %v", got, want)
	}
}
