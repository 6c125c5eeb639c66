package plans_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

const organisationText = `{
  "default": "5/s",
  "plans": {
    "gold": ["100/s","1000/h;name=org;shared"]
  },
  "members": {
    "alone": "silver"
  },
  "organisations": {
    "acme": {
      "plan": "gold",
      "members": [
        "key-1",
        "key-2"
      ],
      "keys": {
        "key-3": ["10/s","1000/h;name=org;shared"],
        "key-4": "2/s"
      }
    },
    "empty": {
      "plan": "gold"
    },
    "initech": {
      "limits": "20/h;shared",
      "members": [
        "key-5",
        "sha256:86de594f7827c0bb6c7eb12b9785936d7d101c6b6143285da524a8654cae77ab"
      ]
    }
  }
}
`

func readTable(t testing.TB, text string) plans.TableConfig {
	t.Helper()
	c, err := plans.ReadTableConfig(strings.NewReader(strings.Replace(text, "silver", "gold", 1)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// organisations is the table of the text, without the member that may have no shared limit.
func organisations(t testing.TB) plans.TableConfig {
	t.Helper()
	c := readTable(t, organisationText)
	c.Members = nil
	return c
}

// TestOrganisations: look-ups, what they cost, and what is shared.
func TestOrganisations(t *testing.T) {
	table, err := plans.NewTable(organisations(t))
	if err != nil {
		t.Fatal(err)
	}
	const gold = "100/s, 1000/h;name=org;shared"
	policies := map[string]*ratelimit.Policy{}
	for key, want := range map[string][4]string{
		"key-1": {"acme", gold, "gold"}, "key-2": {"acme", gold, "gold"}, "key-3": {"acme", "10/s, 1000/h;name=org;shared", ""}, "key-4": {"acme", "2/s", ""},
		"key-5": {"initech", "20/h;shared", ""}, "customer-18": {"initech", "20/h;shared", ""}, "alone": {"", "5/s", ""}, "acme": {"", "5/s", ""},
	} {
		p, err := table.PolicyFor(t.Context(), key)
		if err != nil || p.Home() != want[0] || p.String() != want[1] {
			t.Errorf("%s: %v in %q, %v; want %v", key, p, p.Home(), err, want)
		}
		plan, ok := table.PlanOf(key)
		of, in := table.OrganisationOf(key)
		if plan != want[2] || ok != (want[2] != "") || of != want[0] || in != (want[0] != "") {
			t.Errorf("%s: plan %q, %v; organisation %q, %v; want %v", key, plan, ok, of, in, want)
		}
		policies[key] = p
		if n := testing.AllocsPerRun(100, func() { _, _ = table.PolicyFor(t.Context(), key) }); n != 0 {
			t.Errorf("%s: a look-up makes %v allocations", key, n)
		}
	}
	if policies["key-1"] != policies["key-2"] || policies["key-5"] != policies["customer-18"] {
		t.Error("members of an organisation have policies of their own")
	}
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, table, ratelimit.Config{})
		for _, step := range []struct {
			key   string
			cost  int
			admit bool
			name  string
			left  int
		}{
			{"key-1", 100, true, "default", 0}, {"key-1", 1, false, "default", 0}, {"key-2", 100, true, "default", 0}, {"key-3", 10, true, "default", 0},
			{"key-4", 2, true, "default", 0}, {"key-5", 19, true, "default", 1}, {"customer-18", 2, false, "default", 1}, {"customer-18", 1, true, "default", 0},
		} {
			if r := allow(t, l, step.key, step.cost); r.Allowed != step.admit || r.Limit().Name != step.name || r.Remaining() != step.left {
				t.Errorf("%+v: %v by %s, %d left", step, r.Allowed, r.Limit().Name, r.Remaining())
			}
		}
		for key, want := range map[string]int{"key-1": 790, "key-2": 790, "key-3": 790} {
			if left := peek(t, l, key).State(1).Remaining; left != want {
				t.Errorf("%s: the organisation has %d left, want %d", key, left, want)
			}
		}
	})
}

// TestOrganisationsJSON: what is written is read again, by config and by snapshot.
func TestOrganisationsJSON(t *testing.T) {
	c := readTable(t, organisationText)
	want := strings.Replace(organisationText, "silver", "gold", 1)
	if text, err := c.MarshalJSON(); string(text) != want || err != nil {
		t.Fatalf("%s, %v", text, err)
	}
	c.Members = nil
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	if got := table.Config(); !reflect.DeepEqual(got.Organisations, c.Organisations) {
		t.Errorf("%+v, want %+v", got.Organisations, c.Organisations)
	}
	var b bytes.Buffer
	s := table.Snapshot()
	if n, err := s.WriteTo(&b); n != int64(b.Len()) || err != nil || strings.Contains(b.String(), "key-") {
		t.Fatalf("%d, %v: %s", n, err, b.String())
	}
	read, err := plans.ReadTableConfig(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	hashed := c
	hashed.Organisations = map[string]plans.Organisation{}
	for name, o := range c.Organisations {
		for i, key := range o.Members {
			if o.Members = slices.Clone(o.Members); !strings.HasPrefix(key, "sha256:") {
				o.Members[i] = ratelimit.HashKey(key)
			}
		}
		slices.Sort(o.Members)
		own := o.Keys
		if o.Keys = nil; own != nil {
			o.Keys = map[string]*ratelimit.Policy{}
		}
		for key, p := range own {
			o.Keys[ratelimit.HashKey(key)] = p
		}
		hashed.Organisations[name] = o
	}
	if sameAs(read) != sameAs(hashed) {
		t.Errorf("%s\nwant %s", sameAs(read), sameAs(hashed))
	}
	again, err := s.Replace(read)
	if err != nil || again.Sum() != s.Sum() {
		t.Errorf("%v, or another sum", err)
	}
	summary := again.Organisations()
	if acme := summary["acme"]; len(summary) != 3 || acme.Plan != "gold" || acme.Limits != nil || acme.Keys != 4 || summary["initech"].Limits.String() != "20/h;shared" || summary["initech"].Keys != 2 {
		t.Errorf("%+v", summary)
	}
	if members, keys := again.Count(); len(members) != 0 || keys != 0 {
		t.Errorf("%v, %d are outside of organisations", members, keys)
	}
}

// TestOrganisationsMisfits: a table that cannot be used names each fault by its place, and
// shows no key.
func TestOrganisationsMisfits(t *testing.T) {
	const canary = "[sha256:e100fbce008c…]"
	for name, test := range map[string]struct {
		change func(*plans.TableConfig)
		fields string
		want   string
	}{
		"no name": {func(c *plans.TableConfig) { c.Organisations[""] = plans.Organisation{Plan: "gold"} }, "TableConfig.Organisations[sha256:e3b0c44298fc…]", `"a name that cannot be used" must be 1 to 64 printable ASCII`},
		"a long name": {func(c *plans.TableConfig) {
			c.Organisations[strings.Repeat("canary", 11)] = plans.Organisation{Plan: "gold"}
		}, "TableConfig.Organisations[sha256:2aa06afbf56a…]", "a name that cannot be used"},
		"an unknown plan": {func(c *plans.TableConfig) { c.Organisations["x"] = plans.Organisation{Plan: "canary"} }, `TableConfig.Organisations["x"].Plan`, `Plan must be the name of one of TableConfig.Plans: "gold"`},
		"no plan":         {func(c *plans.TableConfig) { c.Organisations["x"] = plans.Organisation{} }, `TableConfig.Organisations["x"].Plan`, "must be the name of one of"},
		"plan and limits": {func(c *plans.TableConfig) { c.Organisations["x"] = plans.Organisation{Plan: "gold", Limits: c.Default} }, `TableConfig.Organisations["x"]`, `"plan and limits" must have either`},
		"limits unusable": {func(c *plans.TableConfig) { c.Organisations["x"] = plans.Organisation{Limits: &ratelimit.Policy{}} }, `TableConfig.Organisations["x"].Limits`, "must be made with ratelimit.NewPolicy"},
		"own unusable": {func(c *plans.TableConfig) {
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Keys: map[string]*ratelimit.Policy{"canary": nil}}
		}, `TableConfig.Organisations["x"].Keys` + canary, "must be made with ratelimit.NewPolicy"},
		"a home of its own": {func(c *plans.TableConfig) { c.Keys = map[string]*ratelimit.Policy{"canary": c.Plans["gold"].In("x")} }, "TableConfig.Keys" + canary, "a policy in a home"},
		"two organisations": {func(c *plans.TableConfig) {
			for _, name := range []string{"x", "y"} {
				c.Organisations[name] = plans.Organisation{Plan: "gold", Members: []string{"canary"}}
			}
		}, `TableConfig.Organisations["y"].Members` + canary, `"there twice" must be in one of TableConfig.Members, TableConfig.Keys and TableConfig.Organisations`},
		"twice in one": {func(c *plans.TableConfig) {
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Members: []string{"canary", "canary"}}
		}, `TableConfig.Organisations["x"].Members` + canary, "there twice"},
		"and own": {func(c *plans.TableConfig) {
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Members: []string{"canary"}, Keys: map[string]*ratelimit.Policy{"canary": c.Default}}
		}, `TableConfig.Organisations["x"].Keys` + canary, "there twice"},
		"and elsewhere": {func(c *plans.TableConfig) {
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Members: []string{ratelimit.HashKey("canary")}}
			c.Keys = map[string]*ratelimit.Policy{ratelimit.HashKey("canary"): c.Default}
		}, `TableConfig.Organisations["x"].Members` + canary, "there twice"},
		"an address": {func(c *plans.TableConfig) {
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Members: []string{"192.0.2.*"}}
		}, `TableConfig.Organisations["x"].Members[sha256:256ebb052939…]`, "an address"},
		"no hash": {func(c *plans.TableConfig) {
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Members: []string{"sha256:canary"}}
		}, `TableConfig.Organisations["x"].Members[sha256:f55a1f5f9b25…]`, "not a hash"},
		"shared, default": {func(c *plans.TableConfig) { c.Default = c.Plans["gold"] }, "TableConfig.Default", "must have no shared limit"},
		"shared, member":  {func(c *plans.TableConfig) { c.Members = map[string]string{"canary": "gold"} }, "TableConfig.Members" + canary, `"a plan with a shared limit" must be a plan without one; or the key must be under TableConfig.Organisations`},
		"shared, own":     {func(c *plans.TableConfig) { c.Keys = map[string]*ratelimit.Policy{"canary": c.Plans["gold"]} }, "TableConfig.Keys" + canary, `"a shared limit" must not be shared; or the key must be under TableConfig.Organisations`},
		"another limit": {func(c *plans.TableConfig) {
			p := policyOf(t, ratelimit.PerHour(999).Named("org").SharedByHome())
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Keys: map[string]*ratelimit.Policy{"canary": p}}
		}, `TableConfig.Organisations["x"].Keys` + canary, `"999/h;shared beside 1000/h;shared" must be the shared limit that the organisation has`},
		"another limit beside an own one": {func(c *plans.TableConfig) {
			p, q := policyOf(t, ratelimit.PerHour(7).Named("x").SharedByHome()), policyOf(t, ratelimit.PerHour(7).WithBurst(8).Named("x").SharedByHome())
			c.Organisations["x"] = plans.Organisation{Plan: "gold", Keys: map[string]*ratelimit.Policy{"a": p, "canary": q}}
		}, `TableConfig.Organisations["x"].Keys` + canary, "7/h;burst=8;shared beside 7/h;shared"},
	} {
		c := organisations(t)
		c.Organisations = maps.Clone(c.Organisations)
		test.change(&c)
		_, err := plans.NewTable(c)
		if fields(err) != test.fields || !strings.Contains(fmt.Sprint(err), test.want) || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s: %v\nis a fault of %s; want %s: %s", name, err, fields(err), test.fields, test.want)
		}
	}
	// The same bucket, though one watches, and another, because it is the key's own.
	c := organisations(t)
	c.Organisations["x"] = plans.Organisation{Plan: "gold", Keys: map[string]*ratelimit.Policy{
		"a": policyOf(t, ratelimit.PerHour(1000).Named("org").SharedByHome().Shadowed()), "b": policyOf(t, ratelimit.PerHour(7).Named("org")), "c": ratelimit.Unlimited,
	}}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := table.PolicyFor(t.Context(), "c"); p != ratelimit.Unlimited || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	if got := table.Config(); !reflect.DeepEqual(got.Organisations, c.Organisations) {
		t.Errorf("%+v, want %+v", got.Organisations, c.Organisations)
	}
}

// TestOrganisationsJSONRejects: each fault has its place, and no key is shown.
func TestOrganisationsJSONRejects(t *testing.T) {
	const canary, x = "[sha256:e100fbce008c…]", `TableConfig.Organisations["x"]`
	for _, test := range []struct{ text, fields, want string }{
		{`["canary"]`, "TableConfig.Organisations", `column 34: ratelimit: TableConfig.Organisations "an array" must be an object`},
		{`{"canary":"gold"}`, "TableConfig.Organisations" + canary, `column 44: ratelimit: TableConfig.Organisations` + canary + ` "a text" must be an object, such as`},
		{`{"":{"plan":"gold"}}`, "TableConfig.Organisations[sha256:e3b0c44298fc…]", `column 35: ratelimit: TableConfig.Organisations[sha256:e3b0c44298fc…] "a name that cannot be used"`},
		{`{"é":{"plan":"gold"}}`, "TableConfig.Organisations[sha256:4a99557e4033…]", "a name that cannot be used"},
		{`{"x":{"plan":"gold"},"x":{"plan":"gold"}}`, x, `column 55: ratelimit: ` + x + ` "there twice"`},
		{`{"x":{"members":["canary"]}}`, x, `column 39: ratelimit: ` + x + ` "neither plan nor limits" must have one of them`},
		{`{"x":{"plan":"gold","limits":"1/s"}}`, x, `"plan and limits" must have either`},
		{`{"x":{"plan":"gold","canary":{"a":[1]},"Keys":{}}}`, x + " " + x + ".Keys", `column 54: ratelimit: ` + x + ` "unknown name" must be one of plan, limits, members and keys`},
		{`{"x":{"plan":"gold","member":["canary"]}}`, x + ".Members", x + `.Members "unknown name member" must be spelt "members"`},
		{`{"x":{"plan":"gold","plan":"canary"}}`, x + ".Plan", `"there twice" must not`},
		{`{"x":{"plan":["canary"],"members":{"canary":"gold"},"keys":["canary"]}}`, x + ".Plan " + x + ".Members " + x + ".Keys", `"an array" must be the name of a plan`},
		{`{"x":{"plan":"gold","members":["canary",7,"canary",["canary"]]}}`, x + ".Members " + x + ".Members" + canary + " " + x + ".Members", `column 76: ratelimit: ` + x + `.Members` + canary + ` "there twice"`},
		{`{"x":{"plan":"gold","keys":{"canary":"1/s","canary":"2/s"}}}`, x + ".Keys" + canary, `"there twice" must be there once`},
		{`{"x":{"plan":"gold","keys":{"canary":"canary"}}}`, x + ".Keys" + canary, `.Keys` + canary + ` must be RATE/PERIOD`},
		{`{"x":{"plan":"gold","keys":{"canary":["0/s;name=canary"]}}}`, x + ".Keys" + canary + ".Rate", `must be from 1`},
		{`{"x":{"limits":"unlimitted"}}`, x + ".Limits", `"unlimitted" must be`},
		{`{"x":{"limits":["0/s"]}}`, x + ".Limits.Rate", `must be from 1`},
		{"{\"x\":{\"plan\":\"gold\",\"members\":[\"\xff\"]}}", x + ".Members[sha256:a8100ae6aa19…]", "not UTF-8"},
		{`{"x":{"plan":"gold"`, "TableConfig", "the end of the file"},
		{`{"x":{"plan":"gold","members":["canary"`, "TableConfig", "must be \",\" or \"]\" behind an item"},
		{`{},"organisations":{}`, "TableConfig.Organisations", "there twice"},
	} {
		text := `{"default":"1/s","organisations":` + test.text + `}`
		_, err := plans.ReadTableConfig(strings.NewReader(text))
		if got := fields(err); got != test.fields || !strings.Contains(fmt.Sprint(err), test.want) || strings.Contains(fmt.Sprint(err), "canary") {
			t.Errorf("%s\n%v\nis a fault of %s\nand was to be one of %s: %s", text, err, got, test.fields, test.want)
		}
	}
}

func TestOrganisationsRejectToWrite(t *testing.T) {
	p := policyOf(t, ratelimit.PerSecond(1))
	for want, o := range map[string]plans.Organisation{
		`TableConfig.Organisations["x"].Limits`:                     {Limits: &ratelimit.Policy{}},
		`TableConfig.Organisations["x"].Keys[sha256:e100fbce008c…]`: {Plan: "gold", Keys: map[string]*ratelimit.Policy{"canary": nil}},
		`TableConfig.Organisations["x"]`:                            {Plan: "gold", Limits: p},
	} {
		c := plans.TableConfig{Default: p, Organisations: map[string]plans.Organisation{"x": o}}
		if text, err := c.MarshalJSON(); text != nil || fields(err) != want {
			t.Errorf("%s, %v; want a fault of %s", text, err, want)
		}
	}
	c := plans.TableConfig{Default: p, Organisations: map[string]plans.Organisation{"é": {Plan: "gold"}}}
	if _, err := c.MarshalJSON(); fields(err) != "TableConfig.Organisations[sha256:4a99557e4033…]" {
		t.Error(err)
	}
	c.Organisations = map[string]plans.Organisation{"x": {Plan: "gold", Members: []string{"\xff", "b", "a"}}}
	text, err := json.Marshal(c)
	if want := `"organisations":{"x":{"plan":"gold","members":["a","b","` + ratelimit.HashKey("\xff") + `"]}}}`; err != nil || !strings.Contains(string(text), want) {
		t.Errorf("%s, %v; want %s", text, err, want)
	}
}

// TestWithOrganisations: further limits are checked for each policy once, however many
// organisations have it, and shared ones need keys that all belong to one.
func TestWithOrganisations(t *testing.T) {
	c := organisations(t)
	for i := range 100 {
		c.Organisations[fmt.Sprint("org-", i)] = plans.Organisation{Plan: "gold", Members: []string{fmt.Sprint("member-", i)}, Keys: map[string]*ratelimit.Policy{fmt.Sprint("own-", i): c.Default}}
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	asked := map[string]int{}
	if err := table.Require(func(p *ratelimit.Policy) error { asked[p.String()]++; return nil }); err != nil {
		t.Fatal(err)
	}
	if want := map[string]int{"5/s": 1, "100/s, 1000/h;name=org;shared": 1, "10/s, 1000/h;name=org;shared": 1, "2/s": 1, "20/h;shared": 1}; !maps.Equal(asked, want) {
		t.Errorf("%v was asked, want %v", asked, want)
	}
	l := newLimiter(t, table, ratelimit.Config{})
	for _, name := range []string{"org", "default"} {
		_, err := l.With(ratelimit.PerHour(7).Named(name))
		for _, want := range map[string][]string{
			"org":     {`TableConfig.Organisations["acme"].Keys[sha256:`, `TableConfig.Plans["gold"]`},
			"default": {"TableConfig.Default", `TableConfig.Organisations["initech"].Limits`, `TableConfig.Organisations["org-99"].Keys[sha256:`},
		}[name] {
			if !strings.Contains(fmt.Sprint(err), want) && !strings.Contains(fmt.Sprint(err), "more of its entries") {
				t.Errorf("%s: %v; want a fault of %s", name, err, want)
			}
		}
		if err == nil || strings.Contains(err.Error(), "key-") {
			t.Errorf("%s: %v", name, err)
		}
	}
	part, err := l.With(ratelimit.PerHour(7).Named("export"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"key-1", "key-2"} {
		if got := admitted(t, part, key, 10); got != 7 {
			t.Errorf("%s: %d calls to the part were admitted, want 7 of its own", key, got)
		}
	}
	if left := peek(t, l, "key-3").State(1).Remaining; left != 986 {
		t.Errorf("the organisation has %d left, want 986", left)
	}

	// A limit that a part shares needs keys with an organisation, and the default has none.
	_, err = l.With(ratelimit.PerHour(7).Named("export").SharedByHome())
	if err == nil || !strings.Contains(err.Error(), "TableConfig.Default") || !strings.Contains(err.Error(), "must come with a home") || strings.Contains(err.Error(), "TableConfig.Plans") {
		t.Errorf("a shared limit of a part: %v", err)
	}
	c = organisations(t)
	c.Default = ratelimit.Unlimited
	if err := table.Replace(c); err != nil {
		t.Fatal(err)
	}
	if part, err = l.With(ratelimit.PerHour(7).Named("import").SharedByHome()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		key   string
		admit int
	}{{"key-1", 7}, {"key-2", 0}, {"key-3", 0}, {"key-5", 7}, {"another", 10}} {
		if got := admitted(t, part, step.key, 10); got != step.admit {
			t.Errorf("%s: %d calls to the part with a shared limit were admitted, want %d", step.key, got, step.admit)
		}
	}
	c.Plans["silver"], c.Members = policyOf(t, ratelimit.PerSecond(3)), map[string]string{"canary": "silver"}
	if err := table.Replace(c); fields(err) != "TableConfig.Members[sha256:e100fbce008c…]" {
		t.Errorf("a member of no organisation beside a shared limit of a part: %v", err)
	}
}
