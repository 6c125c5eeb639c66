package docs_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestWayOfARequest compares the files that the page on design lists with those in which
// a request executes a statement. A table continues those before it: a file is listed where
// it is first met.
func TestWayOfARequest(t *testing.T) {
	testkit.Long(t, "needs seconds of CPU, to build a program that counts its statements")
	command := exec.CommandContext(t.Context(), "go", "run", "./tools/figures", "request")
	command.Dir = root
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	p := readPage(t, "docs/design.md")
	var listed []string
	for _, way := range []struct{ name, heading string }{
		{"memory", "### In memory"},
		{"redis", "### Through Redis, with a mirror"},
		{"down", "### While Redis is down"},
	} {
		_, rest, found := strings.Cut(string(output), " files, "+way.name+"\n")
		if !found {
			t.Fatalf("no files of %s in\n%s", way.name, output)
		}
		var met []string
		for line := range strings.Lines(rest) {
			if strings.Contains(line, " files, ") {
				break
			}
			met = append(met, strings.TrimSpace(line))
		}
		_, section, found := strings.Cut(p.text, "\n"+way.heading+"\n")
		section, _, _ = strings.Cut(section, "\n#")
		if !found {
			t.Fatalf("%s has no %q", p.path, way.heading)
		}
		for _, row := range regexp.MustCompile("(?m)^\\| `([a-z/]+\\.go)` \\|").FindAllStringSubmatch(section, -1) {
			if !slices.Contains(met, row[1]) {
				t.Errorf("%s: a request does not meet %s", way.name, row[1])
			}
			if slices.Contains(listed, row[1]) {
				t.Errorf("%s: %s is listed twice", way.name, row[1])
			}
			listed = append(listed, row[1])
		}
		for _, name := range met {
			// Probes run beside a request.
			if !slices.Contains(listed, name) && way.name != "down" {
				t.Errorf("%s: the page does not list %s, which a request meets", way.name, name)
			}
		}
	}
}
