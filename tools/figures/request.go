package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// request prints the files in which the second of two identical requests executes a
// statement.
func request(ctx context.Context, root string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "figures-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	base, err := output(ctx, root, "go", "list", "-m")
	if err != nil {
		return err
	}
	program := filepath.Join(dir, "request")
	if _, err := output(ctx, root, "go", "build", "-cover", "-covermode=atomic", "-coverpkg=./...", "-o", program, "./tools/figures/request"); err != nil {
		return err
	}
	for _, backend := range []string{"memory", "redis", "down"} {
		counters, text := filepath.Join(dir, backend), filepath.Join(dir, backend+".txt")
		if err := os.Mkdir(counters, 0o700); err != nil {
			return err
		}
		if _, err := output(ctx, dir, program, backend, counters); err != nil {
			return err
		}
		if _, err := output(ctx, dir, "go", "tool", "covdata", "textfmt", "-i="+counters, "-o="+text); err != nil {
			return err
		}
		profile, err := os.ReadFile(text)
		if err != nil {
			return err
		}
		executed := executedFiles(string(profile), strings.TrimSpace(base)+"/")
		fmt.Fprintf(out, "%5d  files, %s\n", len(executed), backend)
		for _, name := range executed {
			fmt.Fprintf(out, "         %s\n", name)
		}
	}
	return nil
}

// executedFiles returns the files in a coverage profile with a statement that was executed,
// except those of programs.
func executedFiles(profile, base string) []string {
	found := map[string]bool{}
	for lines := bufio.NewScanner(strings.NewReader(profile)); lines.Scan(); {
		// FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS COUNT
		name, rest, ok := strings.Cut(lines.Text(), ".go:")
		name = strings.TrimPrefix(name, base)
		if ok && !strings.HasSuffix(rest, " 0") && !strings.HasPrefix(name, "tools/") {
			found[name+".go"] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
