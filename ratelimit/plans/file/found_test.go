package file

import (
	"fmt"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/internal/testkit"
)

// TestFoundOneLongLine: all of a file can be on one line, with characters beyond ASCII. The
// columns of it were counted anew from the beginning of the line for each of them, so that
// 1 MB took minutes, in which no change of the file took hold.
func TestFoundOneLongLine(t *testing.T) {
	const n = 20_000
	var members strings.Builder
	for i := range n {
		fmt.Fprintf(&members, `"ключ-%d": "é", `, i)
	}
	entries := strings.TrimSuffix(members.String(), ", ")
	accents := strings.Repeat("é", 10*n)
	for name, text := range map[string]string{
		"limits.json": `{"default": "5/s", "plans": {"é": "5/s"}, "members": {` + entries + `}}`,
		"limits.yaml": "{default: 5/s, plans: {é: 5/s}, members: {" + entries + "}}",
	} {
		c, err := Parse(name, []byte(text))
		if err != nil || len(c.Members) != n {
			t.Errorf("%s: %d members, %v", name, len(c.Members), err)
		}
		// The column of what is behind them is right all the same.
		text = `{"` + accents + `": "5/s", "é": "5/s"}`
		_, err = Parse(name, []byte(text))
		if want := fmt.Sprintf("%s:1:%d: ", name, len(`{"": "5/s", `)+10*n+1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: no fault at %s in %.300s", name, want, err)
		}
	}
	_, err := Parse("limits.json", []byte("{\"é\":\n\"é\", \"é\": é}"))
	if want := "limits.json:2:11: "; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("no fault at %s in %v", want, err)
	}
}

// TestFoundKeysUnderPlans: keys that stand under plans by mistake, as a member does or in the
// place of limits, were shown.
func TestFoundKeysUnderPlans(t *testing.T) {
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
	// What is no key is shown all the same.
	for _, text := range []string{"unlimitted", "5 per second", "fifty/second-and-more"} {
		_, err := Parse("limits.yaml", []byte("default: 5/s\nplans:\n  gold: "+text+"\n"))
		if err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), "plans.gold") {
			t.Errorf("%q is not shown in %v", text, err)
		}
	}
}

// TestKeysOfAFileAreNotEchoed: a text under keys or members may be a key, at any place
// behind its limits, too.
func TestKeysOfAFileAreNotEchoed(t *testing.T) {
	for _, secret := range []string{"sk-canary-987", "sk_live_0123456789abcdef", "canary+/DEF=="} {
		for _, limit := range []string{
			secret, "5/s;" + secret, "5/s;shadow;" + secret, "5/s;" + secret + "=1", "5/s;burst=" + secret, "5/s;name=a;name=" + secret, "0/s;name=" + secret,
			"5/s;enforce-from=" + secret, "5/" + secret, secret + "/s", "5/s, " + secret, "5 per " + secret, "unlimited;" + secret,
		} {
			for name, text := range map[string]string{
				"a.yaml": "default: 1/s\nkeys:\n  alice: " + limit + "\n",
				"b.yaml": "default: 1/s\nkeys:\n  alice:\n    - 1/h;name=a\n    - '" + limit + "'\n",
				"c.json": `{"default": "1/s", "keys": {"alice": "` + limit + `"}}`,
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
