package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func readme(_ context.Context, root string, out io.Writer) error {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		return err
	}
	all := strings.Split(string(text), "\n")
	fmt.Fprintf(out, "%5d  words\n", len(strings.Fields(string(text))))
	fmt.Fprintf(out, "%5d  lines\n", len(all)-1)
	fmt.Fprintf(out, "%5d  is the line of the first program\n", slices.Index(all, "package main")+1)
	return nil
}

func doc(ctx context.Context, root string, out io.Writer) error {
	text, err := output(ctx, root, "go", "doc", "-short", "./ratelimit")
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%5d  lines of go doc -short ./ratelimit\n", strings.Count(text, "\n"))
	return nil
}
