package file_test

import (
	"os"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
)

// TestPage holds docs/plans.md to what it says of a file of limits: that it is one, and how
// a fault in it is reported.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/plans.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "\n## In a file\n")
	_, rest, fenced := strings.Cut(rest, "```yaml\n")
	text, rest, closed := strings.Cut(rest, "```\n")
	if !found || !fenced || !closed {
		t.Fatal("the page shows no file of limits")
	}
	c, err := file.Parse("limits.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if c.Default.String() != "5/s" || len(c.Plans["gold"].Limits()) != 2 || c.Plans["staff"] != ratelimit.Unlimited || len(c.Members) != 2 || len(c.Keys) != 1 {
		t.Errorf("%+v", c)
	}
	_, err = file.Parse("limits.yaml", []byte(strings.Replace(text, "customer-17: gold", "customer-17: golden", 1)))
	if err == nil || !strings.Contains(rest, "`"+err.Error()+"`") {
		t.Errorf("the page has another error than %v", err)
	}
	_, rest, found = strings.Cut(string(page), "\n## Many keys, one organisation\n\n```yaml\n")
	text, _, closed = strings.Cut(rest, "```\n")
	if !found || !closed {
		t.Fatal("the page shows no organisation")
	}
	c, err = file.Parse("limits.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if acme := c.Organisations["acme"]; acme.Plan != "team" || len(acme.Members) != 2 || acme.Keys["customer-23"].String() != "10/s, 10000/m;name=org;shared" {
		t.Errorf("%+v", acme)
	}
	limits := strings.Replace(text, "plan: team                # or limits:", "limits:", 1)
	if c, err = file.Parse("limits.yaml", []byte(limits)); err != nil || c.Organisations["acme"].Limits.String() != c.Plans["team"].String() {
		t.Errorf("%+v, %v", c.Organisations, err)
	}
	for _, path := range []string{"ratelimit/plans/file/schema.json", "examples/perkey"} {
		if _, err := os.Stat("../../../" + path); err != nil || !strings.Contains(string(page), path) {
			t.Errorf("%s: %v, or the page does not name it", path, err)
		}
	}
}
