// Command figures prints how large and how entangled the library is:
//
//	go run ./tools/figures                  # all figures of this tree
//	go run ./tools/figures names pairs      # some of them
//	go run ./tools/figures -root DIR        # those of another checkout
//
// The library is ratelimit, store and middleware with their subfolders, without
// store/chaos. The figures are:
//
//   - names: the exported names of each package. A name is a constant, variable,
//     function or type of the package, or a method declared on an exported type;
//     fields of structs, methods of interfaces and promoted methods do not count.
//     Internal packages and programs are left out.
//   - doc: the lines of go doc -short ./ratelimit.
//   - files: the Go files of each folder, tests not included.
//   - pairs: the pairs of files of one package with static calls both ways: A calls a
//     function or method that B declares, and B one that A declares. A second figure
//     counts the pairs that reach each other through any files of the package.
//   - lines: the lines of the Go files of each folder, tests not included.
//   - readme: the words of README.md, as wc -w counts, its lines, and the line of its
//     first "package main".
//   - request: the files in which the last of some identical requests executes a
//     statement, in memory, with a mirror in front of Redis, and after Redis went down;
//     tools/figures/request is the program that sends them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
)

// A figure prints itself.
type figure struct {
	name  string
	print func(ctx context.Context, root string, out io.Writer) error
}

var figures = []figure{
	{"names", names},
	{"doc", doc},
	{"files", files},
	{"pairs", pairs},
	{"lines", lines},
	{"readme", readme},
	{"request", request},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("figures", flag.ContinueOnError)
	root := flags.String("root", ".", "the `folder` of the checkout")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	}
	known := make([]string, 0, len(figures))
	for _, f := range figures {
		known = append(known, f.name)
	}
	for _, name := range flags.Args() {
		if !slices.Contains(known, name) {
			return fmt.Errorf("there is no figure %q; use some of %s", name, strings.Join(known, ", "))
		}
	}
	for _, f := range figures {
		if flags.NArg() > 0 && !slices.Contains(flags.Args(), f.name) {
			continue
		}
		fmt.Fprintf(out, "== %s\n", f.name)
		if err := f.print(ctx, *root, out); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		fmt.Fprintln(out)
	}
	return nil
}
