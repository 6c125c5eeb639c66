package file

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestKeysUnderPlansAreNotShown: keys that are under plans by mistake, as a member or in the
// place of limits.
func TestKeysUnderPlansAreNotShown(t *testing.T) {
	const canary, other = "kQ7canaryZ9-24f0", "Zz3canaryY1-77e2"
	for _, text := range []string{
		"  gold: 50/s\n  " + canary + ": gold\n",
		"  " + canary + ": gold\n  gold: 50/s\nmembers:\n  a: silver\n",
		"  gold: " + canary + "\n",
		"  gold:\n    - " + canary + "\n    - " + other + "\n",
	} {
		_, err := Parse("limits.yaml", []byte("default: 5/s\nplans:\n"+text))
		if err == nil {
			t.Errorf("taken:\n%s", text)
			continue
		}
		if all := err.Error(); strings.Contains(all, canary) || strings.Contains(all, other) {
			t.Errorf("shown: %s", all)
		}
	}
	// A text that cannot be a key is shown.
	for _, text := range []string{"unlimitted", "5 per second", "fifty/second-and-more"} {
		_, err := Parse("limits.yaml", []byte("default: 5/s\nplans:\n  gold: "+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "plans.gold") {
			t.Errorf("%q is not shown in %v", text, err)
		}
	}
}

// TestKeysAreNotShown: a text under keys or members may be a key, in any place
// behind its limits, too.
func TestKeysAreNotShown(t *testing.T) {
	for _, secret := range []string{"sk-canary-987", "sk_live_0123456789abcdef", "canary+/DEF=="} {
		for _, limit := range []string{
			secret, "5/s;" + secret, "5/s;shadow;" + secret, "5/s;" + secret + "=1", "5/s;burst=" + secret, "5/s;name=a;name=" + secret, "0/s;name=" + secret,
			"5/s;enforce-from=" + secret, "5/s;enforce-for=" + secret, "5/" + secret, secret + "/s", "5/s, " + secret, "5 per " + secret, "unlimited;" + secret,
		} {
			for name, text := range map[string]string{
				"a.yaml": "default: 1/s\nkeys:\n  alice: " + limit + "\n",
				"b.yaml": "default: 1/s\nkeys:\n  alice:\n    - 1/h;name=a\n    - '" + limit + "'\n",
				"c.json": `{"default": "1/s", "keys": {"alice": "` + limit + `"}}`,
				"e.yaml": "default: 1/s\nplans:\n  gold: 1/s\norganisations:\n  acme:\n    plan: gold\n    keys:\n      alice: '" + limit + "'\n",
				"f.json": `{"default": "1/s", "organisations": {"acme": {"plan": "` + limit + `", "members": ["` + limit + `", "` + limit + `"]}}}`,
				"d.json": `{"default": "1/s", "members": {"alice": "` + limit + `"}}`,
			} {
				_, err := Parse(name, []byte(text))
				if err == nil {
					t.Errorf("%s is taken", text)
				} else if found := testkit.Spelled(fmt.Sprintf("%v %+v %#v", err, err, err), secret); found != nil {
					t.Errorf("%s: shown (%v) in %v", text, found, err)
				}
			}
		}
	}
}
