package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// libraryFiles returns the files of the library, tests included.
func libraryFiles(ctx context.Context, root string) ([]string, error) {
	out, err := output(ctx, root, "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", "ratelimit", "store", "middleware")
	if err != nil {
		return nil, err
	}
	var found []string
	for name := range strings.SplitSeq(strings.TrimRight(out, "\x00"), "\x00") {
		if strings.HasPrefix(name, "store/chaos/") || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(root, name)); err == nil { // not removed since the last commit
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found, nil
}

// sources returns the Go files of the library that are no tests.
func sources(ctx context.Context, root string) ([]string, error) {
	found, err := libraryFiles(ctx, root)
	return slices.DeleteFunc(found, func(name string) bool {
		return !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")
	}), err
}

func files(ctx context.Context, root string, out io.Writer) error {
	found, err := sources(ctx, root)
	if err != nil {
		return err
	}
	in := map[string]int{}
	for _, name := range found {
		in[path.Dir(name)]++
	}
	largest := ""
	for _, folder := range slices.Sorted(maps.Keys(in)) {
		fmt.Fprintf(out, "%5d  %s\n", in[folder], folder)
		if in[folder] > in[largest] {
			largest = folder
		}
	}
	fmt.Fprintf(out, "%5d  in the largest, %s\n", in[largest], largest)
	return nil
}

func lines(ctx context.Context, root string, out io.Writer) error {
	found, err := sources(ctx, root)
	if err != nil {
		return err
	}
	in, sum := map[string]int{}, 0
	for _, name := range found {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return err
		}
		n := bytes.Count(text, []byte("\n"))
		in[path.Dir(name)] += n
		sum += n
	}
	for _, folder := range slices.Sorted(maps.Keys(in)) {
		fmt.Fprintf(out, "%5d  %s\n", in[folder], folder)
	}
	fmt.Fprintf(out, "%5d  in all\n", sum)
	return nil
}
