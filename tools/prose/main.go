// Command prose finds wording in comments, string literals and pages that this project
// avoids because it makes a reader stop: prose.go has the pattern.
//
//	go run ./tools/prose            # in every file that git knows
//	go run ./tools/prose store/*    # in files and folders of your choice
//
// It prints FILE:LINE for each line that matches and exits with 1 if there is one. It
// skips testdata/, quotations in coming-from pages and lines that end in prose:ok.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	n, err := run(ctx, os.Args[1:], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "prose:", err)
		os.Exit(2)
	}
	if n > 0 {
		os.Exit(1)
	}
}

// run returns the number of lines that match.
func run(ctx context.Context, paths []string, out io.Writer) (n int, err error) {
	files, err := files(ctx, paths)
	if err != nil {
		return 0, err
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if os.IsNotExist(err) { // removed since the last commit
			continue
		}
		if err != nil {
			return 0, err
		}
		for _, f := range find(name, string(text)) {
			n++
			fmt.Fprintf(out, "%s:%d: %q in: %s\n", name, f.line, f.match, strings.TrimSpace(f.text))
		}
	}
	fmt.Fprintf(out, "prose: %d lines in %d files match\n", n, len(files))
	return n, nil
}

// files returns the files below the paths that are checked; without paths, below this
// folder.
func files(ctx context.Context, paths []string) ([]string, error) {
	list := exec.CommandContext(ctx, "git", append([]string{"ls-files", "--cached", "--others", "--exclude-standard", "-z", "--"}, paths...)...)
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("git ls-files: %w", err)
	}
	found := strings.Split(strings.TrimRight(string(out), "\x00"), "\x00")
	return slices.DeleteFunc(found, func(name string) bool { return !checked(name) }), nil
}
