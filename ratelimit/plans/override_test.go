package plans_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestOverrideText: an override is read back, without its key.
func TestOverrideText(t *testing.T) {
	until := time.Date(2026, 12, 4, 18, 0, 0, 5e6, time.UTC)
	p, err := ratelimit.ParsePolicy("1/s, 2/m;name=b")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []plans.Override{{Key: "canary", Factor: 10, Until: until}, {Plan: "gold", Policy: p, Until: until}} {
		text, err := o.MarshalJSON()
		if err != nil || strings.Contains(string(text)+o.String(), "canary") {
			t.Errorf("%s, %v", text, err)
		}
		var read plans.Override
		if err := read.UnmarshalJSON(text); err != nil || !read.Same(o) || !read.Until.Equal(until) || read.String() != o.String() {
			t.Errorf("%s: %v, %v", text, read, err)
		}
	}
	for _, text := range []string{`{}`, `{"key":"a"}`, `{"key":"a","factor":-1}`, `{"key":"a","policy":"blue"}`, `[]`, `{"key":"a","factor":1,"until":"x"}`} {
		if err := new(plans.Override).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s is accepted", text)
		}
	}
}

// TestOverrideLiftsNoBlock: a factor leaves a blocked key blocked.
func TestOverrideLiftsNoBlock(t *testing.T) {
	s := snapshot(t, `{"default":"5/s","keys":{"alice":"blocked"},"blocked":{"bob":"blocked"}}`).Hashed()
	until := time.Now().Add(time.Hour)
	s, faults := s.With([]plans.Override{{Key: ratelimit.HashKey("alice"), Factor: 10, Until: until}, {Key: ratelimit.HashKey("bob"), Factor: 10, Until: until}, {Key: ratelimit.HashKey("carol"), Factor: 10, Until: until}})
	if err := errors.Join(faults...); err != nil {
		t.Fatal(err)
	}
	table := new(plans.Table)
	if err := table.Use(s); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"alice": "blocked", "bob": "blocked", "carol": "50/s"} {
		if got := textOf(t, table, key); got != want {
			t.Errorf("%s: %s, want %s", key, got, want)
		}
	}
}

// TestOverrideAfterEdits: an override that no longer goes with a table that was edited holds as far as it
// can, the others hold, and each says what is wrong with it.
func TestOverrideAfterEdits(t *testing.T) {
	shared := func(text string) *ratelimit.Policy {
		p, err := ratelimit.ParsePolicy(text)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	const greatest = "2147483648/s"
	for name, c := range map[string]struct {
		table     string
		overrides []plans.Override
		want      map[string]string // of keys
		faults    string            // of each override, part of its text
	}{
		"a rate": {`{"default":"5/s","plans":{"gold":"1000000000/s"},"members":{"alice":"gold"}}`,
			[]plans.Override{{Plan: "gold", Factor: 10}, {Key: "bob", Factor: 10}}, map[string]string{"alice": "2000000000/s", "bob": "50/s"}, "at most 2|"},
		"a rate of a plan and a key": {`{"default":"5/s","plans":{"gold":"400000000/s"},"members":{"alice":"gold"}}`,
			[]plans.Override{{Plan: "gold", Factor: 2}, {Key: "alice", Factor: 10}}, map[string]string{"alice": "1600000000/s"}, "|at most 2"},
		"the greatest rate": {`{"default":"` + greatest + `"}`, []plans.Override{{Key: "bob", Factor: 10}}, map[string]string{"bob": greatest}, "at most 1"},
		"a burst":           {`{"default":"1000/s;burst=4503599627"}`, []plans.Override{{Key: "bob", Factor: 10}}, map[string]string{"bob": "10000/s;burst=45035996270"}, ""},
		"one that is shared": {`{"default":"5/s","plans":{"team":["2/s","2000000000/m;name=org;shared"]},"organisations":{"acme":{"plan":"team","members":["alice"]}}}`,
			[]plans.Override{{Plan: "team", Factor: 10}}, map[string]string{"alice": "20/s"}, ""},
		"calls at a time": {`{"default":"2000000000 at a time"}`, []plans.Override{{Key: "bob", Factor: 10}}, map[string]string{"bob": "2000000000 at a time"}, "at most 1"},
		"another shared limit": {`{"default":"5/s","plans":{"gold":"3/s"},"organisations":{"acme":{"limits":["2/s","7/m;name=org;shared"],"members":["alice","bob"]}}}`,
			[]plans.Override{{Key: "alice", Policy: shared("9/s, 8/m;name=org;shared")}, {Key: "bob", Factor: 2}, {Plan: "gold", Factor: 2}}, map[string]string{"alice": "2/s", "bob": "4/s"}, "the organisation has||"},
		"no organisation": {`{"default":"5/s","plans":{"gold":"3/s"},"members":{"alice":"gold","bob":"gold"}}`,
			[]plans.Override{{Key: "alice", Policy: shared("9/s, 8/m;name=org;shared")}, {Key: "bob", Factor: 2}}, map[string]string{"alice": "3/s", "bob": "6/s"}, "must not be shared|"},
		"a plan of another key": {`{"default":"5/s","plans":{"gold":"3/s","team":"4/s"},"members":{"alice":"gold","bob":"team"}}`,
			[]plans.Override{{Plan: "gold", Factor: 2}, {Plan: "team", Policy: shared("9/s, 8/m;name=org;shared")}, {Key: "bob", Factor: 2}}, map[string]string{"alice": "6/s", "bob": "8/s"}, "|must be a plan without one|"},
		"too many blocks": {`{"default":"5/s","blocked":{"alice":"blocked;until=2999-01-09"}}`,
			[]plans.Override{{Key: "alice", Policy: shared("blocked;until=3001-01-01, blocked;until=3002-01-01, blocked;until=3003-01-01, blocked;until=3004-01-01, blocked;until=3005-01-01, blocked;until=3006-01-01, blocked;until=3007-01-01, blocked;until=3008-01-01, 1/s")}, {Key: "bob", Factor: 2}},
			map[string]string{"alice": "blocked", "bob": "10/s"}, "at most 8 blocks|"},
		"no plan": {`{"default":"5/s"}`, []plans.Override{{Plan: "gold", Factor: 2}, {Key: "bob", Factor: 2}}, map[string]string{"bob": "10/s"}, "|"},
	} {
		for i := range c.overrides {
			if key := c.overrides[i].Key; key != "" {
				c.overrides[i].Key = ratelimit.HashKey(key)
			}
		}
		s, faults := snapshot(t, c.table).With(c.overrides)
		table := new(plans.Table)
		if err := table.Use(s); err != nil {
			t.Fatal(err)
		}
		for key, want := range c.want {
			if got := textOf(t, table, key); got != want {
				t.Errorf("%s: %s has %s, want %s", name, key, got, want)
			}
		}
		for i, want := range strings.Split(c.faults, "|") {
			if err := faults[i]; (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: override %d: %v, want %q", name, i, err, want)
			}
		}
	}
}
