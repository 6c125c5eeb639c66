package plans_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

const tableText = `{
  "default": "5/s",
  "plans": {
    "gold": ["50/s","100000/d;name=daily"],
    "staff": "unlimited"
  },
  "members": {
    "customer-17": "gold",
    "sha256:86de594f7827c0bb6c7eb12b9785936d7d101c6b6143285da524a8654cae77ab": "gold"
  },
  "keys": {
    "customer-19": "7/s"
  }
}
`

func TestTableJSON(t *testing.T) {
	c, err := plans.ReadTableConfig(strings.NewReader(tableText))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := c.MarshalJSON(); string(text) != tableText || err != nil {
		t.Errorf("it was written as %s, %v", text, err)
	}
	table, err := plans.NewTable(c)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"customer-17": "50/s, 100000/d;name=daily", "customer-18": "50/s, 100000/d;name=daily", "customer-19": "7/s", "x": "5/s"} {
		if p, err := table.PolicyFor(t.Context(), key); p.String() != want || err != nil {
			t.Errorf("%s: %v, %v; want %s", key, p, err, want)
		}
	}

	// As a part of something else.
	var whole struct{ Limits plans.TableConfig }
	if err := json.Unmarshal([]byte(`{"Limits":`+tableText+`}`), &whole); err != nil || sameAs(whole.Limits) != sameAs(c) {
		t.Errorf("%v, %v", whole, err)
	}
	if text, err := json.Marshal(whole); err != nil || !strings.Contains(string(text), `{"default":"5/s","plans":{"gold":["50/s","100000/d;name=daily"],`) {
		t.Errorf("%s, %v", text, err)
	}
	if err := json.Unmarshal([]byte(`{"Limits":{"default":""}}`), &whole); err == nil || sameAs(whole.Limits) != sameAs(c) {
		t.Errorf("a text that cannot be read: %v, %v", whole, err)
	}
}

// sameAs returns one text for all configs that mean the same.
func sameAs(c plans.TableConfig) string {
	policies := func(m map[string]*ratelimit.Policy) map[string]string {
		texts := map[string]string{}
		for name, p := range m {
			texts[name] = p.String()
		}
		return texts
	}
	members := map[string]string{}
	maps.Copy(members, c.Members)
	organisations := map[string]string{}
	for name, o := range c.Organisations {
		organisations[name] = fmt.Sprintf("%q %v %q %q", o.Plan, o.Limits, slices.Sorted(slices.Values(o.Members)), policies(o.Keys))
	}
	return fmt.Sprintf("%v %q %q %q %q", c.Default, policies(c.Plans), members, policies(c.Keys), organisations)
}

// TestTableJSONRoundTrip: whatever a table holds, its text puts the same in force.
func TestTableJSONRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	policies := []*ratelimit.Policy{
		ratelimit.Unlimited, policyOf(t, ratelimit.PerSecond(5)), policyOf(t, ratelimit.PerDay(3).WithBurst(9).Named("a/b c")),
		policyOf(t, ratelimit.PerSecond(5).Shadowed(), ratelimit.PerHour(7).EnforcedFrom(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)).Named("later")),
		policyOf(t, ratelimit.Limit{Name: `<&>'~`, Rate: 1, Period: 1900 * time.Millisecond}),
	}
	text := func() string {
		const runes = "ab\"\\<>&\x00\n\x7f é\u2028😀 "
		var b strings.Builder
		for range rng.IntN(6) {
			b.WriteRune([]rune(runes)[rng.IntN(len([]rune(runes)))])
		}
		return b.String()
	}
	for range 500 {
		c := plans.TableConfig{Default: policies[rng.IntN(len(policies))]}
		for range rng.IntN(4) {
			if c.Plans == nil {
				c.Plans, c.Members = map[string]*ratelimit.Policy{}, map[string]string{}
			}
			plan := text()
			c.Plans[plan] = policies[rng.IntN(len(policies))]
			key := "member " + text()
			c.Members[key] = plan
			c.Members[ratelimit.HashKey("hashed "+key)] = plan
		}
		for range rng.IntN(4) {
			if c.Keys == nil {
				c.Keys = map[string]*ratelimit.Policy{}
			}
			c.Keys["own "+text()] = policies[rng.IntN(len(policies))]
		}
		for i := range rng.IntN(4) {
			if c.Organisations == nil {
				c.Organisations = map[string]plans.Organisation{}
			}
			o := plans.Organisation{Plan: text()}
			if rng.IntN(2) == 0 {
				o = plans.Organisation{Limits: policies[rng.IntN(len(policies))]}
			}
			for range rng.IntN(4) {
				o.Members = append(o.Members, fmt.Sprint(i, len(o.Members))+text())
			}
			for range rng.IntN(4) {
				if o.Keys == nil {
					o.Keys = map[string]*ratelimit.Policy{}
				}
				o.Keys[text()] = policies[rng.IntN(len(policies))]
			}
			c.Organisations[fmt.Sprint("org <&> ", i)] = o
		}
		written, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var read plans.TableConfig
		if err := json.Unmarshal(written, &read); err != nil || sameAs(read) != sameAs(c) {
			t.Fatalf("%s\nwas read as %s, %v\nand is %s", written, sameAs(read), err, sameAs(c))
		}
	}
}

// TestTableJSONOfBytes: a key that JSON cannot carry is written as its hash.
func TestTableJSONOfBytes(t *testing.T) {
	c := plans.TableConfig{Default: policyOf(t, ratelimit.PerSecond(1)), Keys: map[string]*ratelimit.Policy{}}
	c.Keys["\xff"], c.Keys["\xfe"], c.Keys["\ufffd"] = policyOf(t, ratelimit.PerSecond(2)), policyOf(t, ratelimit.PerSecond(3)), ratelimit.Unlimited
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var read plans.TableConfig
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for key, p := range c.Keys {
		if got := read.Keys[ratelimit.HashKey(key)]; got.String() != p.String() {
			t.Errorf("%q: %v, want %v", key, got, p)
		}
	}
}

func TestTableJSONRejectsToWrite(t *testing.T) {
	p := policyOf(t, ratelimit.PerSecond(1))
	for want, c := range map[string]plans.TableConfig{
		"TableConfig.Default":                     {},
		`TableConfig.Plans["gold"]`:               {Default: p, Plans: map[string]*ratelimit.Policy{"gold": {}}},
		"TableConfig.Keys[sha256:e100fbce008c…]":  {Default: p, Keys: map[string]*ratelimit.Policy{"canary": nil}},
		"TableConfig.Keys[sha256:e100fbce008c…] ": {Default: p, Keys: map[string]*ratelimit.Policy{"canary": {}}},
	} {
		if text, err := c.MarshalJSON(); text != nil || fields(err) != strings.TrimSpace(want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s, %v; want a fault of %s", text, err, want)
		}
	}
}

// TestTableJSONRejects: every fault is reported with its place, and no key.
func TestTableJSONRejects(t *testing.T) {
	const canary = "[sha256:e100fbce008c…]"
	for _, test := range []struct{ text, fields, want string }{
		{``, "TableConfig", `line 1, column 1: ratelimit: TableConfig "the end of the file" must be a value of JSON`},
		{`null`, "TableConfig", `line 1, column 1: ratelimit: TableConfig "null" must be one JSON object, such as {"default": "5/s"}`},
		{`["canary"]`, "TableConfig", `"an array" must be one JSON object`},
		{`{}`, "TableConfig.Default", `"missing" must be there, such as "default": "5/s"`},
		{`{"default":null}`, "TableConfig.Default", `"null" must be a text such as "5/s"`},
		{`{"default":"5/x"}`, "TableConfig.Default", `"5/x" must have a period`},
		{`{"default":"0/s;burst=1"}`, "TableConfig.Default.Rate", `0 must be from 1`},
		{`{"default":[]}`, "TableConfig.Default.limits", `"0 of them" must be 1 to 4`},
		{`{"default":["1/s","2/s"]}`, "TableConfig.Default.Name", `must differ`},
		{`{"default":["1/s","unlimited",7,["canary"],"5/m;name=m"]}`, strings.TrimSpace(strings.Repeat("TableConfig.Default ", 4)), `"5 limits" must be 1 to 4`},
		{`{"default":["1/s"],"plans":{"a":"[\"1/s\"]","b":["1/s\u00002/m;name=b"]}}`, `TableConfig.Plans["a"] TableConfig.Plans["b"]`, `must begin with a whole number`}, // not what is known as a list
		{`{"default":"1/s"`, "TableConfig", `line 1, column 17: ratelimit: TableConfig "the end of the file" must be "," or "}" behind an entry`},
		{`{"default":"1/s",}`, "TableConfig", `line 1, column 18: ratelimit: TableConfig "something else" must be one more entry behind the comma`},
		{`{"default":"1/s"}{}`, "TableConfig", `line 1, column 18: ratelimit: TableConfig "more behind the end of the document" must be one JSON document`},
		{`{"default":"1/s"} canary`, "TableConfig", `line 1, column 19: ratelimit: TableConfig "more behind the end of the document" must be one JSON document`},
		{`{"default":"1/s","canary":{"a":[1,{}]},"keys":{"b":1}}`, "TableConfig TableConfig.Keys[sha256:3e23e8160039…]", `line 1, column 18: ratelimit: TableConfig "unknown name" must be one of default, plans, members, keys, organisations and blocked`},
		{`{"default":"1/s","Keys":{}}`, "TableConfig.Keys", `line 1, column 18: ratelimit: TableConfig.Keys "unknown name Keys" must be spelt "keys"`},
		{`{"default":"1/s","plan":{"canary":[1]}}`, "TableConfig.Plans", `TableConfig.Plans "unknown name plan" must be spelt "plans"`},
		{`{"default":"1/s","default":{}}`, "TableConfig.Default", `TableConfig.Default "there twice" must not be there twice`},
		{`{"default":"1/s","keys":{},"keys":{}}`, "TableConfig.Keys", `TableConfig.Keys "there twice" must not be there twice`},
		{`{"default":"1/s","keys":["canary"],"plans":7,"members":null}`, "TableConfig.Keys TableConfig.Plans TableConfig.Members", `"an array" must be an object`},
		{`{"default":"1/s","keys":{"canary":"1/s","canary":"2/s"}}`, "TableConfig.Keys" + canary, `"there twice" must be there once`},
		{`{"default":"1/s","keys":{"canary":"1/s","\u0063anary":"2/s"}}`, "TableConfig.Keys" + canary, `"there twice"`},
		{`{"default":"1/s","plans":{"gold":"1/s"},"members":{"canary":"gold","canary":"gold"}}`, "TableConfig.Members" + canary, `"there twice"`},
		{`{"default":"1/s","plans":{"gold":"1/s","gold":"1/s"}}`, `TableConfig.Plans["gold"]`, `"there twice"`},
		{`{"default":"1/s","members":{"canary":["canary"],"a":null}}`, "TableConfig.Members" + canary + " TableConfig.Members[sha256:ca978112ca1b…]", `"an array" must be the name of a plan`},
		{"{\"default\":\"1/s\",\"keys\":{\"\xff\":\"1/s\"}}", "TableConfig.Keys[sha256:a8100ae6aa19…]", `line 1, column 26: ratelimit: TableConfig.Keys[sha256:a8100ae6aa19…] "not UTF-8" must be text without U+FFFD`},
		{`{"default":"1/s","keys":{"\ud800":"1/s"}}`, "TableConfig", `line 1, column 33: ratelimit: TableConfig "something else" must be \u and four hexadecimal digits of a character`},
		{`{"default":"1/s","keys":{"canary":{"rate":5}}}`, "TableConfig.Keys" + canary, `"an object" must be a text`},
		{`{"default":"1/s","keys":{"canary":1e999}}`, "TableConfig.Keys" + canary, `"a number" must be a text`},
		{`{"default":"1/s","keys":{"canary":true}}`, "TableConfig.Keys" + canary, `"true or false" must be a text`},
		{`{"default":` + strings.Repeat("[", 100_000), "TableConfig.Default TableConfig", `line 1, column 111: ratelimit: TableConfig "too many lists and maps in each other"`},
		{`{"default":"1/s","x":` + strings.Repeat(`{"":`, 100_000), strings.TrimSpace(strings.Repeat("TableConfig ", 2)), `"too many lists and maps in each other"`},
	} {
		c, err := plans.ReadTableConfig(strings.NewReader(test.text))
		if got := fields(err); got != test.fields || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") || sameAs(c) != sameAs(plans.TableConfig{}) {
			t.Errorf("%.100s\n%v\nis a fault of %s\nand was to be one of %s: %s", test.text, err, got, test.fields, test.want)
		}
	}
}

// TestTableJSONReportsManyFaults, and how many more there are, whatever their number.
func TestTableJSONReportsManyFaults(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"default":"5/s","keys":{`)
	for i := range 5000 {
		fmt.Fprintf(&b, `"key-%d":7,`, i)
	}
	b.WriteString(`"last":"1/s"}}`)
	_, err := plans.ReadTableConfig(strings.NewReader(b.String()))
	if n := strings.Count(err.Error(), "\n") + 1; n != 21 || !strings.Contains(err.Error(), "TableConfig 4980 more of its entries cannot be used") {
		t.Errorf("%d lines: %v", n, err)
	}
}

// TestTableJSONReader: an error of the reader is the reader's, wherever it comes.
func TestTableJSONReader(t *testing.T) {
	cut := errors.New("cut off")
	for n := range len(tableText) + 1 {
		r := io.MultiReader(strings.NewReader(tableText[:n]), iotest.ErrReader(cut))
		if _, err := plans.ReadTableConfig(r); !errors.Is(err, cut) {
			t.Errorf("behind %d bytes: %v", n, err)
		}
	}
}

// TestTableJSONOfSpaces: spaces are skipped, however many there are and wherever.
func TestTableJSONOfSpaces(t *testing.T) {
	for _, text := range []string{` {"default":"5/s"}`, `{ "default":"5/s"}`, `{"default": "5/s"}`, `{"default":"5/s"} `} {
		c, err := plans.ReadTableConfig(iotest.HalfReader(strings.NewReader(strings.ReplaceAll(text, " ", strings.Repeat("\t", 4<<20)))))
		if err != nil || c.Default.String() != "5/s" {
			t.Errorf("%s: %v, %v", text, c.Default, err)
		}
	}
}

// FuzzTableJSON: whatever is read is JSON, and is read again from what is written.
func FuzzTableJSON(f *testing.F) {
	for _, text := range []string{
		tableText, organisationText, `{"default":"5/s"}`, `{"default":["5/s;shadow","1/h;name=x;enforce-from=2030-01-01"],"keys":{"":"1/s"}}`, `{"default":"5/s","default":"5/s"}`,
		`{"default":"unlimited","plans":{"":"1/s"},"members":{"\ud800":""}} x`, `{"default":[[["5/s"]]],"x":1}`, "{\"default\":\"5/s\",\"keys\":{\"\xff\":\"1/s\"}}", `{"keys":{"sha256:x":"1/1.5s"}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := plans.ReadTableConfig(strings.NewReader(text))
		if err != nil {
			if len(ratelimit.Faults(err)) == 0 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q was read", text)
		}
		written, err := c.MarshalJSON()
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		again, err := plans.ReadTableConfig(strings.NewReader(string(written)))
		if err != nil || sameAs(again) != sameAs(c) {
			t.Fatalf("%q was written as %s, %v", text, written, err)
		}
	})
}
