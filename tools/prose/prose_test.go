package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestFind(t *testing.T) {
	for _, c := range []struct {
		name, file, text string
		lines            []int
	}{
		{"a comment and a string", "a.go", "package a\n// Nobody calls.\nvar hardly = \"as ever\"\n", []int{2, 3}},                                      // prose:ok
		{"names are not text", "a.go", "package a\n\nvar nobody, whoever = 1, likewise\n", nil},                                                         // prose:ok
		{"two on one line", "a.go", "package a // nobody is told\n", []int{1}},                                                                          // prose:ok
		{"within a long comment", "a.go", "package a\n/*\nx\nit tells whether\n*/\n", []int{4}},                                                         // prose:ok
		{"within a raw string", "a.go", "package a\nvar x = `y\nis told`\n", []int{3}},                                                                  // prose:ok
		{"a line that says so", "a.go", "package a // nobody // prose:ok\n", nil},                                                                       // prose:ok
		{"a line directive", "a.go", "package a\n//line b.go:70\n// nobody\n", []int{3}},                                                                // prose:ok
		{"Lua", "a.lua", "local nobody = 'it''s' -- hardly\n--[[ x\nlikewise ]] nobody()\nlocal s = \"\\\"whoever\"\nlocal t = x -1\n", []int{1, 3, 4}}, // prose:ok
		{"a page", "a.md", "one of which\n\nnobody\n<!-- nobody: prose:ok -->\n", []int{1, 3}},                                                          // prose:ok
		{"a quotation", "docs/coming-from/x.md", "> nobody\nhardly\n", []int{2}},                                                                        // prose:ok
		{"a quotation elsewhere", "docs/x.md", "> nobody\n", []int{1}},                                                                                  // prose:ok
		{"words within words", "a.md", "retells that, foretold, whoeverness\n", nil},
		{"a script", ".ci/run", "# most of which\n", []int{1}}, // prose:ok
	} {
		var lines []int
		for _, f := range find(c.file, c.text) {
			lines = append(lines, f.line)
		}
		if !slices.Equal(lines, c.lines) {
			t.Errorf("%s: lines %v; want %v", c.name, lines, c.lines)
		}
	}
}

func TestChecked(t *testing.T) {
	for name, want := range map[string]bool{
		"a.go": true, "docs/a.md": true, "store/take.lua": true, ".ci/run": true,
		"go.mod": false, "middleware/testdata/a.md": false, "testdata/a.go": false, "tools/run": false,
	} {
		if got := checked(name); got != want {
			t.Errorf("checked(%q) = %v; want %v", name, got, want)
		}
	}
}

func TestRun(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs git")
	}
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"a.go": "package a\n\n// hardly\n",              // prose:ok
		"b.md": "plain\n", "testdata/c.md": "whoever\n", // prose:ok
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "git", "init", "-q").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var out bytes.Buffer
	n, err := run(t.Context(), nil, &out)
	const want = "a.go:3: \"hardly\" in: // hardly\nprose: 1 lines in 2 files match\n" // prose:ok
	if n != 1 || err != nil || out.String() != want {
		t.Errorf("%d, %v, %q; want 1 and %q", n, err, &out, want)
	}
}
