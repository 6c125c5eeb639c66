package main

import (
	"bytes"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestThePageShowsTheDemo compares docs/examples.md with what the demo prints, but for the
// numbers, and for how often a slow machine is admitted.
func TestThePageShowsTheDemo(t *testing.T) {
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"-demo"}, &out, &errs); status != 0 {
		t.Fatalf("status %d: %s", status, &errs)
	}
	if got, want := unnumbered(out.String()), unnumbered(shown(t, "go run ./examples/quickstart -demo")); got != want {
		t.Errorf("the demo prints\n%sand the page says\n%s", got, want)
	}
}

// TestThePageShowsTheServer does the same with the quickstart as a server.
func TestThePageShowsTheServer(t *testing.T) {
	p := start(t, "-addr", "127.0.0.1:0")
	for range 1000 {
		if get(t, p.url, "alice").status != http.StatusOK {
			break
		}
	}
	get(t, p.url, "")
	p.stop()
	got := strings.ReplaceAll(p.end(t), strings.TrimPrefix(p.url, "http://"), "localhost:8080/")
	if got, want := unnumbered(got), unnumbered(shown(t, "go run ./examples/quickstart")); got != want {
		t.Errorf("the server prints\n%sand the page says\n%s", got, want)
	}
}

// shown returns what the page says that a command prints.
func shown(t *testing.T, command string) string {
	t.Helper()
	readme, err := os.ReadFile("../../docs/examples.md")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(readme), "\r\n", "\n")
	_, output, found := strings.Cut(text, "```console\n$ "+command+"\n")
	if !found {
		t.Fatalf("the page does not show %q", command)
	}
	output, _, _ = strings.Cut(output, "```\n")
	return output
}

// unnumbered replaces what differs from run to run, and then drops a line that is
// like the one before it.
func unnumbered(s string) string {
	s = regexp.MustCompile(`key [0-9a-f]{8} `).ReplaceAllString(s, "key HASH ")
	s = regexp.MustCompile(`[0-9]+(\.[0-9]+)?(ms|µs)?`).ReplaceAllString(s, "N")
	var b strings.Builder
	last := ""
	for line := range strings.Lines(s) {
		if line != last {
			b.WriteString(line)
		}
		last = line
	}
	return b.String()
}
