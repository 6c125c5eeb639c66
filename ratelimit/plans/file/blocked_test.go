package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// TestReloadKeepsBlocks that were set while the program runs; those of the file come and go with
// it, and so do its warnings.
func TestReloadKeepsBlocks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("default: 1000/30d\nblocked:\n  alice: blocked\n")
	var last Event
	f, err := Open(path, Config{OnReload: func(e Event) { last = e }})
	if err != nil {
		t.Fatal(err)
	}
	if warnings := f.Status().Warnings; len(warnings) != 1 || !strings.HasPrefix(warnings[0], "default: 1000/30d admits up to 1999") {
		t.Errorf("%q", warnings)
	}
	if err := f.Table().Block("bob", ratelimit.Block{Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	write("default: 900/30d;burst=100\n")
	if err := f.Reload(); err != nil || len(f.Status().Warnings)+len(last.Warnings) != 0 {
		t.Errorf("%v, %+v", err, last)
	}
	if _, ok := f.Table().BlockOf("alice"); ok {
		t.Error("alice is blocked although the file says so no longer")
	}
	if _, ok := f.Table().BlockOf("bob"); !ok {
		t.Error("the reload has lifted the block of bob")
	}
	write("default: 5/x\n")
	if err := f.Reload(); err == nil || last.Err == nil {
		t.Error("a broken file is taken")
	}
	if _, ok := f.Table().BlockOf("bob"); !ok {
		t.Error("a broken file has lifted the block of bob")
	}
}
