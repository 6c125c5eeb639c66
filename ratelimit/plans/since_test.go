package plans_test

import (
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// snapshot returns one of a table in JSON.
func snapshot(t *testing.T, text string) plans.Snapshot {
	t.Helper()
	c, err := plans.ReadTableConfig(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	return table.Snapshot()
}

const oldTable = `{"default":"5/s","plans":{"gold":"50/s","team":"9/s, 9/m;name=org;shared"},"members":{"alice":"gold","bob":"gold"},"keys":{"carol":"7/s"},
	"organisations":{"acme":{"plan":"team","members":["dave"],"keys":{"erin":"1/s"}},"initech":{"limits":"3/s","members":["frank"]}}}`

// TestSince: it names what differs, and keys by their hashes.
func TestSince(t *testing.T) {
	old := snapshot(t, oldTable)
	key := func(name string) string { return "key " + ratelimit.HashKey(name)[:19] + "…: " }
	for text, want := range map[string]string{
		oldTable: "",
		strings.Replace(oldTable, `"alice"`, `"`+ratelimit.HashKey("alice")+`"`, 1):                                              "",
		strings.Replace(oldTable, `"5/s"`, `"6/s"`, 1):                                                                           "default: 5/s -> 6/s",
		strings.Replace(oldTable, `"50/s"`, `"60/s"`, 1):                                                                         "plan gold: 50/s -> 60/s",
		strings.Replace(oldTable, `"7/s"`, `"8/s"`, 1):                                                                           key("carol") + "7/s -> 8/s",
		strings.Replace(oldTable, `"carol":"7/s"`, ``, 1):                                                                        "keys: 6 -> 5; " + key("carol") + "7/s -> none",
		strings.Replace(oldTable, `"bob":"gold"`, `"zoe":"gold"`, 1):                                                             key("zoe") + "none -> plan gold; " + key("bob") + "plan gold -> none",
		strings.Replace(oldTable, `"1/s"`, `"2/s"`, 1):                                                                           key("erin") + "1/s in organisation acme -> 2/s in organisation acme",
		strings.Replace(oldTable, `["dave"]`, `["grace"]`, 1):                                                                    key("dave") + "organisation acme -> none; " + key("grace") + "none -> organisation acme",
		strings.Replace(oldTable, `"3/s"`, `"4/s"`, 1):                                                                           "organisation initech: 3/s -> 4/s",
		strings.Replace(oldTable, `"default"`, `"blocked":{"bob":"blocked;reason=abuse","192.0.2.0/24":"blocked"},"default"`, 1): "blocked: 0 -> 2; block of " + ratelimit.HashKey("bob")[:19] + "…: none -> blocked;reason=abuse; block of 192.0.2.0/24: none -> blocked",
		strings.Replace(oldTable, `"carol":"7/s"`, `"carol":"7/s","192.0.2.0/24":"1/s"`, 1):                                      "keys: 6 -> 7; addresses 192.0.2.0/24: none -> 1/s",
	} {
		got := strings.Join(snapshot(t, text).Since(old), "; ")
		if want == "" && got != "" || len(want) > 0 && !sameParts(got, want) {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
	var many strings.Builder
	for i := range 100 {
		many.WriteString(`,"key` + strings.Repeat("x", i) + `":"gold"`)
	}
	lines := snapshot(t, strings.Replace(oldTable, `"bob":"gold"`, `"bob":"gold"`+many.String(), 1)).Since(old)
	if len(lines) != 20 || !strings.HasPrefix(lines[19], "and ") || !strings.HasSuffix(lines[19], " more keys") {
		t.Errorf("%d lines, the last %q", len(lines), lines[len(lines)-1])
	}
}

// sameParts compares lists in any order.
func sameParts(got, want string) bool {
	for part := range strings.SplitSeq(want, "; ") {
		if !strings.Contains(got, part) {
			return false
		}
	}
	return strings.Count(got, "; ") == strings.Count(want, "; ")
}

// TestHashed: the same table, without a key in it.
func TestHashed(t *testing.T) {
	s := snapshot(t, oldTable)
	h := s.Hashed()
	if h == s || h.Hashed() != h || h.Sum() != s.Sum() || len(h.Since(s)) > 0 {
		t.Error("it is another table")
	}
	c := h.Config()
	for key := range c.Members {
		if !strings.HasPrefix(key, "sha256:") {
			t.Errorf("it holds %s", key)
		}
	}
	table := new(plans.Table)
	if err := table.Use(h); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"alice": "50/s", "carol": "7/s", "dave": "9/s, 9/m;name=org;shared", "erin": "1/s", "frank": "3/s", "zoe": "5/s"} {
		if p, err := table.PolicyFor(t.Context(), key); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v", key, p, err)
		}
	}
	if name, ok := table.OrganisationOf("erin"); !ok || name != "acme" {
		t.Errorf("erin belongs to %q", name)
	}
}

// TestUse: tables share a content, and each keeps its conditions.
func TestUse(t *testing.T) {
	s := snapshot(t, oldTable)
	a, b := new(plans.Table), new(plans.Table)
	if err := a.Use(s); err != nil {
		t.Fatal(err)
	}
	if err := b.Use(plans.Snapshot{}); err == nil {
		t.Error("the content of the zero Table is used")
	}
	few := func(p *ratelimit.Policy) error {
		if len(p.Limits()) > 1 {
			return &ratelimit.LimitError{Field: "limits"}
		}
		return nil
	}
	if err := b.Require(few); err != nil {
		t.Fatal(err)
	}
	if b.Fits(s) == nil || b.Use(s) == nil || b.Validate() == nil {
		t.Error("a content that does not fit is in force")
	}
	if len(a.Changes()) != 1 || a.Default().String() != "5/s" {
		t.Errorf("%+v", a.Changes())
	}
}
