package plans_test

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
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
	greatest := fmt.Sprintf("%d/s", min(gcra.MaxRate, math.MaxInt))
	type edited struct {
		table     string
		overrides []plans.Override
		want      map[string]string // of keys
		faults    string            // of each override, part of its text
	}
	cases := map[string]edited{
		"a rate": {`{"default":"5/s","plans":{"gold":"1000000000/s"},"members":{"alice":"gold"}}`,
			[]plans.Override{{Plan: "gold", Factor: 10}, {Key: "bob", Factor: 10}}, map[string]string{"alice": "2000000000/s", "bob": "50/s"}, "at most 2|"},
		"a rate of a plan and a key": {`{"default":"5/s","plans":{"gold":"400000000/s"},"members":{"alice":"gold"}}`,
			[]plans.Override{{Plan: "gold", Factor: 2}, {Key: "alice", Factor: 10}}, map[string]string{"alice": "1600000000/s"}, "|at most 2"},
		"the greatest rate": {`{"default":"` + greatest + `"}`, []plans.Override{{Key: "bob", Factor: 10}}, map[string]string{"bob": greatest}, "at most 1"},
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
	}
	if strconv.IntSize == 64 {
		cases["a burst"] = edited{`{"default":"1000/s;burst=4503599627"}`, []plans.Override{{Key: "bob", Factor: 10}}, map[string]string{"bob": "10000/s;burst=45035996270"}, ""}
	}
	for name, c := range cases {
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

// TestManyOverrides: each override costs what it changes, and not all blocks of the table.
func TestManyOverrides(t *testing.T) {
	config := plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(5)), Blocked: map[string]ratelimit.Block{}}
	for i := range 2000 {
		config.Blocked[fmt.Sprint("blocked ", i)] = ratelimit.Block{}
	}
	table, err := plans.NewTable(config)
	if err != nil {
		t.Fatal(err)
	}
	var overrides []plans.Override
	for i := range 2000 {
		overrides = append(overrides, plans.Override{Key: fmt.Sprint("key ", i), Factor: 2})
	}
	s := table.Snapshot()
	few := testing.AllocsPerRun(1, func() { s.With(overrides[:20]) })
	many := testing.AllocsPerRun(1, func() { s.With(overrides) })
	if perOverride := (many - few) / 1980; perOverride > 100 {
		t.Errorf("an override makes %.0f allocations", perOverride)
	}
}

// TestOverrideOfAddresses: a factor multiplies what the table gives an address, and the override of a
// prefix holds except where a longer one does.
func TestOverrideOfAddresses(t *testing.T) {
	const text = `{
  "default": "1/s",
  "plans": {"office": "2/s"},
  "members": {"10.0.0.0/8": "office", "198.51.100.7": "office", "2001:db8::/32": "office"},
  "keys": {"10.9.0.0/16": "3/s"},
  "organisations": {"acme": {"limits": ["4/s", "9/h;name=org;shared"], "members": ["192.0.2.0/25"]}},
  "blocked": {"203.0.113.0/24": "blocked", "10.8.0.0/16": "blocked;until=2001-01-01"}
}`
	until := time.Now().Add(time.Hour)
	factor := func(n int, key string) plans.Override { return plans.Override{Key: key, Factor: n, Until: until} }
	five := plans.Override{Policy: ratelimit.Unlimited, Until: until}
	of := func(o plans.Override, key string) plans.Override { o.Key = key; return o }
	for name, c := range map[string]struct {
		overrides []plans.Override
		want      map[string]string
	}{
		"an address":                {[]plans.Override{factor(10, "10.1.2.3")}, map[string]string{" ip 10.1.2.3": "20/s", " ip 10.1.2.4": "2/s"}},
		"a key of an address":       {[]plans.Override{factor(10, " ip 10.9.2.3")}, map[string]string{" ip 10.9.2.3": "30/s", " ip 10.9.2.4": "3/s"}},
		"of IPv6":                   {[]plans.Override{factor(10, "2001:db8:1::5")}, map[string]string{" ip 2001:db8:1::/64": "20/s", " ip 2001:db8:2::/64": "2/s"}},
		"that is listed":            {[]plans.Override{factor(10, "198.51.100.7")}, map[string]string{" ip 198.51.100.7": "20/s"}},
		"by its hash":               {[]plans.Override{factor(10, ratelimit.HashKey(" ip 198.51.100.7"))}, map[string]string{" ip 198.51.100.7": "20/s"}},
		"in no prefix":              {[]plans.Override{factor(10, "172.16.0.1")}, map[string]string{" ip 172.16.0.1": "10/s"}},
		"in an organisation":        {[]plans.Override{factor(10, "192.0.2.7")}, map[string]string{" ip 192.0.2.7": "40/s acme", " ip 192.0.2.8": "4/s acme"}},
		"that is blocked":           {[]plans.Override{factor(10, "203.0.113.7")}, map[string]string{" ip 203.0.113.7": "blocked"}},
		"whose block has ended":     {[]plans.Override{factor(10, "10.8.0.1")}, map[string]string{" ip 10.8.0.1": "20/s"}},
		"another policy":            {[]plans.Override{of(five, "10.1.2.3"), of(five, ratelimit.HashKey(" ip 10.9.9.9"))}, map[string]string{" ip 10.1.2.3": "unlimited", " ip 10.9.9.9": "unlimited", " ip 10.9.9.8": "3/s"}},
		"a prefix":                  {[]plans.Override{factor(10, "10.0.0.0/8")}, map[string]string{" ip 10.1.2.3": "20/s", " ip 10.9.2.3": "3/s", " ip 198.51.100.7": "2/s", " ip 10.8.0.1": "20/s"}},
		"that is not listed":        {[]plans.Override{factor(10, "10.1.0.0/16")}, map[string]string{" ip 10.1.2.3": "20/s", " ip 10.2.2.3": "2/s"}},
		"around a longer one":       {[]plans.Override{factor(10, "0.0.0.0/0")}, map[string]string{" ip 172.16.0.1": "10/s", " ip 10.1.2.3": "2/s", "alice": "1/s"}},
		"of an organisation":        {[]plans.Override{factor(10, "192.0.2.0/25")}, map[string]string{" ip 192.0.2.7": "40/s acme"}},
		"in one":                    {[]plans.Override{factor(10, "192.0.2.0/26")}, map[string]string{" ip 192.0.2.7": "40/s acme", " ip 192.0.2.100": "4/s acme"}},
		"a blocked prefix":          {[]plans.Override{factor(10, "203.0.113.0/24"), factor(10, "203.0.113.0/25")}, map[string]string{" ip 203.0.113.7": "blocked", " ip 203.0.113.200": "blocked"}},
		"all, the longest first":    {[]plans.Override{factor(2, "10.9.7.0/24"), factor(10, "10.9.7.1"), factor(3, "10.9.0.0/16"), {Plan: "office", Factor: 5, Until: until}}, map[string]string{" ip 10.9.7.2": "18/s", " ip 10.9.1.1": "9/s", " ip 10.1.2.3": "10/s"}},
		"an address in an override": {[]plans.Override{factor(3, "10.1.0.0/16"), factor(10, "10.1.2.3")}, map[string]string{" ip 10.1.2.3": "60/s", " ip 10.1.2.4": "6/s"}},
	} {
		base := snapshot(t, text).Hashed()
		var made []plans.Override
		for _, o := range c.overrides {
			others, _ := base.With(made)
			o, err := o.Normal(time.Now(), others)
			if err != nil {
				t.Fatalf("%s: %v: %v", name, o, err)
			}
			text, err := o.MarshalJSON()
			if err != nil || strings.Contains(string(text), `10.1.2.3"`) {
				t.Fatalf("%s: an address is shown: %s, %v", name, text, err)
			}
			var read plans.Override
			if err := read.UnmarshalJSON(text); err != nil || read != o {
				t.Errorf("%s: %s is read as %+v, not as %+v: %v", name, text, read, o, err)
			}
			made = append(made, read)
		}
		s, faults := base.With(made)
		if err := errors.Join(faults...); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		table := new(plans.Table)
		if err := table.Use(s); err != nil {
			t.Fatal(err)
		}
		for key, want := range c.want {
			got := textOf(t, table, key)
			if of, ok := table.OrganisationOf(key); ok {
				got += " " + of
			}
			if got != want {
				t.Errorf("%s: %s has %s, want %s", name, key, got, want)
			}
		}
	}
}

// TestOverrideKeyFaults: what is nearly an address, and a hash that may be that of one, is rejected.
func TestOverrideKeyFaults(t *testing.T) {
	until := time.Now().Add(time.Hour)
	listed, none := snapshot(t, `{"default":"5/s","keys":{"10.0.0.0/8":"7/s","alice":"1/s"}}`), snapshot(t, `{"default":"5/s"}`)
	blocked := snapshot(t, `{"default":"5/s","blocked":{"10.0.0.0/8":"blocked"}}`)
	for _, c := range []struct {
		key, want string
		s         plans.Snapshot
	}{
		{"10.1.2.3/8", `"an address" must be an API key, an address such as`, listed},
		{"10.1.2.*", `"an address" must be an API key, an address such as`, none},
		{"sha256:12", "64 hexadecimal digits", none},
		{ratelimit.HashKey(" ip 10.1.2.3"), "must be the key or the address itself", listed},
		{ratelimit.HashKey(" ip 10.1.2.3"), "must be the key or the address itself", blocked},
		{ratelimit.HashKey("bob"), "must be the key or the address itself", listed},
		{ratelimit.HashKey("alice"), "", listed},
		{ratelimit.HashKey("bob"), "", none},
		{"bob", "", listed},
	} {
		_, err := plans.Override{Key: c.key, Factor: 2, Until: until}.Normal(time.Now(), c.s)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.key, err, c.want)
		}
	}
	for o, want := range map[plans.Override]string{
		{Key: "10.0.0.0/8"}: "addresses 10.0.0.0/8", {Key: "10.1.2.3"}: "key " + ratelimit.HashKey(" ip 10.1.2.3")[:19] + "…", {Plan: "gold"}: "plan gold",
	} {
		if got := o.Subject(); got != want {
			t.Errorf("%+v is about %q, want %q", o, got, want)
		}
	}
	if !(plans.Override{Key: "2001:db8::5"}).Same(plans.Override{Key: ratelimit.HashKey(" ip 2001:db8::/64")}) {
		t.Error("an address and its hash are two")
	}
}
