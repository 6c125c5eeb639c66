package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree makes a repository with a root module, a nested one that embeds a file, and one
// that is not published. Names that end in "?" are not added to git.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	all := map[string]string{
		"go.mod": "module example.org/lib\n\ngo 1.26.0\n", "lib.go": "package lib\n", "LICENSE": "none\n", "internal/kit/kit.go": "package kit\n",
		"examples/one/main.go": "package main\n\nfunc main() {}\n",
		"file/go.mod":          "module example.org/lib/file\n\ngo 1.26.0\n\nreplace example.org/lib => ..\n\nrequire example.org/lib v0.0.0-00010101000000-000000000000\n",
		"file/file.go":         "package file\n\nimport (\n\t_ \"embed\"\n\n\t_ \"example.org/lib\"\n)\n\n//go:embed schema.json\nvar schema string\n\nfunc Schema() string { return schema }\n",
		"file/schema.json":     "{}\n",
		"bench/go.mod":         "module example.org/lib/bench\n\ngo 1.26.0\n", "bench/bench.go": "package bench\n",
		list: "# all of them\npublish .\npublish file\nkeep bench\n",
	}
	for name, text := range files {
		delete(all, strings.TrimSuffix(name, "?"))
		all[name] = text
	}
	run := func(args ...string) {
		t.Helper()
		if _, err := output(t.Context(), root, []string{"GIT_CONFIG_GLOBAL=/dev/null"}, "git", args...); err != nil {
			t.Fatal(err)
		}
	}
	run("init", "-q")
	for name, text := range all {
		if text == "" {
			continue
		}
		path := filepath.Join(root, strings.TrimSuffix(name, "?"))
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "?") {
			run("add", name)
		}
	}
	return root
}

// TestCheck: a tree that can be published passes, and each fault that only its users would
// meet fails.
func TestCheck(t *testing.T) {
	t.Setenv("GOPROXY", "off") // nothing here needs another module
	const nested = "module example.org/lib/file\n\ngo 1.26.0\n\n"
	for _, test := range []struct {
		name  string
		files map[string]string // "" for none
		want  string            // "" if it passes
	}{
		{"as it should be", nil, ""},
		{"a file that git does not track", map[string]string{"file/schema.json?": "{}\n"}, "pattern schema.json: no matching files found"},
		{"a package that git does not track", map[string]string{"lib.go": "package lib\n\nimport _ \"example.org/lib/more\"\n", "more/more.go?": "package more\n"}, "example.org/lib/more"},
		{"a replace directive for another's module", map[string]string{"go.mod": "module example.org/lib\n\ngo 1.26.0\n\nreplace example.com/fork => ./fork\n"}, "go.mod: replaces example.com/fork"},
		{"a replace directive by a version", map[string]string{"file/go.mod": nested + "replace example.org/lib => example.com/fork v1.0.0\n\nrequire example.org/lib v1.0.0\n"}, "file/go.mod: replaces example.org/lib"},
		{"a replace directive to another folder", map[string]string{"file/go.mod": nested + "replace example.org/lib => ../bench\n\nrequire example.org/lib v1.0.0\n"}, "file/go.mod: replaces example.org/lib"},
		{"no replace directive", map[string]string{"file/go.mod": nested + "require example.org/lib v1.0.0\n"}, "file/go.mod: requires example.org/lib without a replace directive"},
		{"a module that is kept is required", map[string]string{"file/go.mod": nested + "replace example.org/lib/bench => ../bench\n\nrequire example.org/lib/bench v1.0.0\n"}, "file/go.mod: replaces example.org/lib/bench"},
		{"an import that only a replace directive gives", map[string]string{"file/file.go": "package file\n\nimport _ \"example.org/lib/bench\"\n", "file/go.mod": nested}, "does not contain package example.org/lib/bench"},
		{"a module that is not listed", map[string]string{"more/go.mod": "module example.org/lib/more\n"}, "the module more is missing"},
		{"a module that is gone", map[string]string{"bench/go.mod": "", "bench/bench.go": ""}, "there is no module bench"},
		{"a list with another word", map[string]string{list: "publish .\nrelease file\n"}, "modules:2: must be publish or keep"},
		{"a file name that Windows does not allow", map[string]string{"file/testdata/nul.json": "{}\n"}, "disallowed as path element component on Windows"},
		{"nothing to import", map[string]string{list: "publish .\npublish file\npublish bench\n", "bench/bench.go": "package main\n\nfunc main() {}\n"}, "has no package to import"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			err := check(t.Context(), tree(t, test.files), "v0.0.0-test")
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v; want %q", err, test.want)
			}
			if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
				t.Errorf("%v, %v is left", err, left)
			}
		})
	}
}

// TestPublishedModule is what a user gets: no replace directive, the version, a licence, and
// no file of another module.
func TestPublishedModule(t *testing.T) {
	modules, err := findModules(t.Context(), tree(t, nil))
	if err != nil || len(modules) != 2 || modules[0].dir != "." || modules[1].dir != "file" {
		t.Fatalf("%+v, %v", modules, err)
	}
	published, err := modules[1].published("v1.2.3", modules)
	if text := string(published); err != nil || strings.Contains(text, "replace") || !strings.Contains(text, "require example.org/lib v1.2.3\n") {
		t.Errorf("%s, %v", published, err)
	}
	for i, want := range []string{"LICENSE examples/one/main.go go.mod internal/kit/kit.go lib.go tools/release/modules", "LICENSE file.go go.mod schema.json"} {
		var names []string
		for _, file := range modules[i].zipFiles(published) {
			names = append(names, file.Path())
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", modules[i].dir, got, want)
		}
	}
}
