package main

import (
	"cmp"
	"context"
	"fmt"
	"go/types"
	"io"
	"slices"
	"strings"
)

func names(ctx context.Context, root string, out io.Writer) error {
	packages, err := load(ctx, root)
	if err != nil {
		return err
	}
	slices.SortFunc(packages, func(a, b *pkg) int { return cmp.Compare(a.path, b.path) })
	sum := 0
	for _, p := range packages {
		if strings.Contains(p.path+"/", "/internal/") || p.types.Name() == "main" {
			continue // no program of others can import it
		}
		n := exported(p.types)
		sum += n
		fmt.Fprintf(out, "%5d  %s\n", n, p.path)
	}
	fmt.Fprintf(out, "%5d  in all\n", sum)
	return nil
}

// exported returns the number of exported names of a package.
func exported(p *types.Package) int {
	n := 0
	for _, name := range p.Scope().Names() {
		object := p.Scope().Lookup(name)
		if !object.Exported() {
			continue
		}
		n++
		named, ok := object.Type().(*types.Named)
		if _, isType := object.(*types.TypeName); !isType || !ok {
			continue
		}
		for method := range named.Methods() {
			if method.Exported() {
				n++
			}
		}
	}
	return n
}
