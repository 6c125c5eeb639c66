package console_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/middleware/interop/internal/tab"
)

// axe returns the script of axe-core, which npm fetches, or finds in its cache.
func axe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "ci", "--prefer-offline")
	install.Dir = dir
	output, err := install.CombinedOutput()
	testkit.Need(t, "KEYRATE_REQUIRE_NODE", "npm on the PATH (Debian: apt-get install npm) and the packages in testdata/package-lock.json: "+string(output), err)
	script, err := os.ReadFile(filepath.Join(dir, "node_modules/axe-core/axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// A violation is what axe-core finds.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

// TestAccessible: axe-core finds no violation, in light and dark, on a wide page and a narrow
// one, with everything shown; and it finds one that was planted.
func TestAccessible(t *testing.T) {
	script := axe(t)
	p := start(t)
	page := tab.Open(t, p.console(t))
	p.call(t, "alice-s3cr3t", 40)
	p.call(t, "", 70) // more than the shadow limit
	look(page, t, "alice-s3cr3t")
	await(page, t, `!document.getElementById("found").hidden && document.querySelector("#denied tbody tr") && document.querySelector("#plans tbody tr")`)
	eval[bool](page, t, script+"; true")
	violations := func() []violation {
		return eval[[]violation](page, t, `axe.run().then(r => r.violations.map(v => ({ID: v.id, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))`)
	}
	for _, scheme := range []string{"light", "dark"} {
		if _, err := chromedp.Call(page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}}); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{1280, 400} {
			if err := chromedp.Do(page, chromedp.EmulateViewport(width, 900)); err != nil {
				t.Fatal(err)
			}
			for _, v := range violations() {
				t.Errorf("%s, %d pixels wide: %s: %s %+v", scheme, width, v.ID, v.Help, v.Nodes)
			}
			if eval[bool](page, t, "document.documentElement.scrollWidth > innerWidth") {
				t.Errorf("%s: the page is wider than %d pixels", scheme, width)
			}
		}
	}
	eval[bool](page, t, `{document.getElementById("reset").textContent = ""; true}`)
	if len(violations()) != 1 {
		t.Error("a button without a name is not found")
	}
}
