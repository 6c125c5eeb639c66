package against

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
)

func TestCommandLine(t *testing.T) {
	o, err := parse(strings.Fields("-pairs 3 HEAD memory -case ^keys=1/ memory http"), io.Discard)
	if err != nil || o.revision != "HEAD" || o.pairs != 3 || strings.Join(o.suites, " ") != "memory http" || o.cases.String() != "^keys=1/" {
		t.Errorf("%+v, %v", o, err)
	}
	if o, err := parse([]string{"HEAD"}, io.Discard); err != nil || len(o.suites) != len(suites) || o.pairs != 20 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range []string{"", "-pairs 3", "HEAD redis", "HEAD -pairs 0", "HEAD -for 0s", "HEAD -case (", "HEAD memory -case nothing", "HEAD -nothing"} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}

// TestCompareWithHead runs all of the command with few and short turns, and leaves nothing
// behind.
func TestCompareWithHead(t *testing.T) {
	testkit.Long(t, "builds two programs")
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	var out bytes.Buffer
	err := Command(t.Context(), strings.Fields("HEAD -pairs 1 -for 2ms -case ^keys=1/|^closed"), &out, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"; 1 pairs\n", "95 % interval\n", "  keys=1/uniform/cpu=1/allow, ns ", "  keys=1/uniform/cpu=2/deny, ns ",
		"  keys=1/deny, allocs ", "  keys=1/deny, ns ", "  closed/callers=16, cpu_us ",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if trees, err := git(t.Context(), ".", "worktree", "list"); err != nil || strings.Contains(trees, "keyrate-against-") {
		t.Errorf("a work tree is left: %s, %v", trees, err)
	}
}

// TestRevisionThatCannotBeCompared: the error names the revision and what is wrong with it.
func TestRevisionThatCannotBeCompared(t *testing.T) {
	root := t.TempDir()
	for _, args := range []string{"init -q", "-c user.name=x -c user.email=x commit -q --allow-empty -m nothing"} {
		if _, err := git(t.Context(), root, strings.Fields(args)...); err != nil {
			t.Fatal(err)
		}
	}
	for revision, want := range map[string]string{"HEAD": "does not build with HEAD", "v9": "v9 cannot be checked out"} {
		if _, err := buildBoth(t.Context(), revision, 1, root, t.TempDir(), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", revision, err, want)
		}
	}
}

// TestOverlay: files of the probe replace those that the other tree has, and its module of
// benchmarks disappears.
func TestOverlay(t *testing.T) {
	root, target := t.TempDir(), t.TempDir()
	for _, file := range []string{
		filepath.Join(root, probePackages[0], "new.go"), filepath.Join(root, probePackages[0], "new_test.go"),
		filepath.Join(target, probePackages[0], "old.go"),
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := overlayOf(root, target)
	want := strings.NewReplacer("ROOT", root, "TARGET", target).Replace(`{"Replace":{"TARGET/benchmarks/go.mod":"",` +
		`"TARGET/benchmarks/internal/against/probe/new.go":"ROOT/benchmarks/internal/against/probe/new.go",` +
		`"TARGET/benchmarks/internal/against/probe/old.go":""}}`)
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}
