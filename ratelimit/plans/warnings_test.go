package plans_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestWarnings: limits that admit nearly twice their rate in their first day or month.
func TestWarnings(t *testing.T) {
	c := configOf(t, `{"default": "1000/30d", "plans": {"gold": ["50/s", "100000/d;name=daily"], "fine": "900/30d;burst=100", "one": "1/d", "hour": "5000/23h", "calls": "10 at a time", "later": "blocked;until=2000-01-01, 7/7d"},
		"keys": {"canary-1": "9/d", "canary-2": "9/d;burst=9"}, "organisations": {"acme": {"limits": "8/d;name=org;shared", "keys": {"canary-3": "9/d"}}}}`)
	want := []string{
		"default: 1000/30d admits up to 1999 in its first period, since the bucket begins full and tokens come back meanwhile; for at most 1000, rate and burst must add up to that, as in 900/30d;burst=100",
		"plan gold: 100000/d;name=daily admits up to 199999 in its first period,",
		"plan later: 7/7d admits up to 13 in its first period, since the bucket begins full and tokens come back meanwhile; for at most 7, rate and burst must add up to that, as in 6/7d;burst=1",
		"organisation acme: 8/d;name=org;shared admits up to 15", "a key: 9/d admits up to 17",
	}
	got := c.Warnings()
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
	var many strings.Builder
	for i := range 30 {
		fmt.Fprintf(&many, `, "p%d": "5/d"`, i)
	}
	if got := configOf(t, `{"default": "1/s", "plans": {"a": "5/d"`+many.String()+`}}`).Warnings(); len(got) != 20 || got[19] != "and 12 more" {
		t.Errorf("%d: %q", len(got), got[len(got)-1])
	}
	if got := configOf(t, `{"default": "1/s"}`).Warnings(); got != nil {
		t.Errorf("%q", got)
	}
}
