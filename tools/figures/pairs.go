package main

import (
	"cmp"
	"context"
	"fmt"
	"go/ast"
	"go/types"
	"io"
	"path/filepath"
	"slices"
)

func pairs(ctx context.Context, root string, out io.Writer) error {
	packages, err := load(ctx, root)
	if err != nil {
		return err
	}
	slices.SortFunc(packages, func(a, b *pkg) int { return cmp.Compare(a.path, b.path) })
	for _, p := range packages {
		both, loops := p.pairs()
		fmt.Fprintf(out, "%5d  %s; through other files of the package as well: %d\n", len(both), p.path, loops)
		for _, pair := range both {
			fmt.Fprintf(out, "           %s (calls %s)  %s (calls %s)\n", pair.a, pair.ab, pair.b, pair.ba)
		}
	}
	return nil
}

// A pair of files with static calls both ways, and an example of each.
type pair struct{ a, ab, b, ba string }

// pairs returns the pairs, and how many there are if a call may lead from one file to the
// other through further files of the package.
func (p *pkg) pairs() (both []pair, loops int) {
	calls := map[[2]string]string{} // from and to file: what is called, first of all
	for _, file := range p.syntax {
		from := p.file(file)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f := p.callee(call)
			if f == nil || f.Pkg() != p.types {
				return true
			}
			to := [2]string{from, filepath.Base(p.fset.Position(f.Pos()).Filename)}
			if to[0] != to[1] && calls[to] == "" {
				calls[to] = f.Name()
			}
			return true
		})
	}
	for way, ab := range calls {
		if ba := calls[[2]string{way[1], way[0]}]; ba != "" && way[0] < way[1] {
			both = append(both, pair{way[0], ab, way[1], ba})
		}
	}
	slices.SortFunc(both, func(x, y pair) int { return cmp.Or(cmp.Compare(x.a, y.a), cmp.Compare(x.b, y.b)) })
	return both, p.loops(calls)
}

// loops returns the number of pairs of files that reach each other.
func (p *pkg) loops(calls map[[2]string]string) int {
	reaches := map[[2]string]bool{}
	for way := range calls {
		reaches[way] = true
	}
	for _, via := range p.syntax {
		for _, from := range p.syntax {
			for _, to := range p.syntax {
				from, via, to := p.file(from), p.file(via), p.file(to)
				if reaches[[2]string{from, via}] && reaches[[2]string{via, to}] {
					reaches[[2]string{from, to}] = true
				}
			}
		}
	}
	n := 0
	for way := range reaches {
		if way[0] < way[1] && reaches[[2]string{way[1], way[0]}] {
			n++
		}
	}
	return n
}

func (p *pkg) file(f *ast.File) string {
	return filepath.Base(p.fset.Position(f.Package).Filename)
}

// callee returns the function or method that a call names, or nil for a call of a value or
// a method of an interface, which the types do not decide.
func (p *pkg) callee(call *ast.CallExpr) *types.Func {
	called := ast.Unparen(call.Fun)
	switch index := called.(type) { // type arguments that are written out
	case *ast.IndexExpr:
		called = index.X
	case *ast.IndexListExpr:
		called = index.X
	}
	var object types.Object
	switch name := called.(type) {
	case *ast.Ident:
		object = p.info.Uses[name]
	case *ast.SelectorExpr:
		object = p.info.Uses[name.Sel]
	}
	f, ok := object.(*types.Func)
	if !ok {
		return nil
	}
	if receiver := f.Signature().Recv(); receiver != nil && types.IsInterface(receiver.Type()) {
		return nil
	}
	return f.Origin()
}
