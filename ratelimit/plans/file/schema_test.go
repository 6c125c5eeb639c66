package file

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyrate/keyrate/ratelimit"
)

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json") // checks it against the schema of schemas as well
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// instance is a node as the validator takes it.
func instance(n node) any {
	switch n.kind {
	case kindNumber:
		return json.Number(n.text)
	case kindWord:
		return n.text == "true"
	case kindEmpty:
		return nil
	case kindList:
		made := []any{}
		for _, item := range n.inside.items {
			made = append(made, instance(item))
		}
		return made
	case kindMap:
		made := map[string]any{}
		for _, e := range n.inside.entries {
			made[e.key] = instance(e.value)
		}
		return made
	}
	return n.text
}

// unsaid are the faults that a schema cannot express.
var unsaid = []string{
	"a second time", "a plan that is not under plans", "must differ from the other limits", "must not give", "from 1 to 2147483648", "must refill within",
	"must be a whole number of microseconds", "must have a whole number of at least 1 as its burst", "a Go duration behind the slash", "as enforce-from",
	"two times of a whole number of microseconds", "must be followed by the limits from the end of the block", "as until",
	"an address; must be an API key", "a shared limit", "a plan with a shared limit", "must be the shared limit that the organisation has",
}

// agree compares what parser and schema say of a file.
func agree(t *testing.T, schema *jsonschema.Schema, name string, data []byte) (taken bool) {
	t.Helper()
	f := &faults{file: name}
	root, ok := parseTree(f, data, filepath.Ext(name) == ".json")
	if !ok || len(f.list) > 0 {
		return false // it is neither JSON nor plain YAML: nothing for a schema
	}
	_, err := Parse(name, data)
	invalid := schema.Validate(instance(root))
	switch {
	case err == nil && invalid != nil:
		t.Errorf("%s: %s\nis taken, and by the schema\n%v", name, data, invalid)
	case err != nil && invalid == nil:
		for _, err := range err.(interface{ Unwrap() []error }).Unwrap() { //nolint:errcheck // checkFault wants it joined
			known := false
			for _, text := range unsaid {
				known = known || strings.Contains(err.Error(), text)
			}
			if !known {
				t.Errorf("%s: %s\nis valid by the schema, and Parse says\n%v", name, data, err)
			}
		}
	}
	return err == nil
}

// TestSchemaAgrees with the parser, on every file that the tests know.
func TestSchemaAgrees(t *testing.T) {
	schema := compileSchema(t)
	for name, text := range map[string]string{"limits.yaml": sampleYAML, "limits.json": sampleJSON} {
		if !agree(t, schema, name, []byte(text)) {
			t.Errorf("%s is not taken", name)
		}
	}
	files, err := filepath.Glob("testdata/rejected/*")
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Ext(file) != ".golden" {
			agree(t, schema, filepath.Base(file), data)
		}
	}
}

var someLimits = []string{
	"5/s", "100/1m", "1000/24h;burst=50", "1000/d;name=daily", "1000/h;shadow", "1000/h;enforce-from=2027-01-31", "1/h;enforce-from=2027-01-31T09:00:00Z", "1/h;enforce-from=2027-01-31T09:00:00.000+02:00",
	"1/1.5s", "1/7d", "1/1h30m", "1/+5s", "1/.5s", "1/5.s", "1/500us", "1/50µs", "1/50μs", "007/s", "5/007d", "1/s;name=a b", "1/s;name=" + strings.Repeat("n", 64), "2147483648/s", "1/s;burst=2;name=x;shadow", "1000/m;burst=5;name=org;shared;shadow", "10 at a time;name=calls;shared", "5/s;shared;shared", "5/s;Shared",
	"1/s;name=a!#$%&'()*+-./:<=>?@[]^_`{|}~",
	"10 at a time", "10 at a time;name=calls;shadow", "1000/h;enforce-for=10%", "5/s;enforce-for=1%;enforce-from=2027-01-31", "5/s, 10 at a time", "007 at a time;enforce-from=2027-01-31", "5/s;shared", "10 at a time;shared;name=org",
	"5/s;lockout=20/1m:10m", "5/s;lockout=020/1.5s:7d;burst=2", "10 at a time;lockout=1/s:h", "5/s;lockout=0/1m:10m", "5/s;lockout=20/1m", "5/s;lockout=20/:m", "5/s;lockout=20:1m/10m",
	"blocked", "blocked;until=2026-12-04, 5/s", "blocked;reason=chargeback 4711, 5/s", "blocked;until=2026-12-04T18:00:00Z;reason=x, blocked;until=2026-12-05, unlimited", strings.Repeat("blocked;until=2026-12-04, ", 8) + "5/s", strings.Repeat("blocked;until=2026-12-04, ", 7) + "blocked",
	strings.Repeat("blocked;until=2026-12-04, ", 9) + "5/s", strings.Repeat(" blocked,", 8) + "\tblocked", strings.Repeat("blocked;until=2026-12-04 ,", 20) + "unlimited", "blocked;", "blocked;reason=", "blocked;5/s", "blocked; 5/s",
	"0 at a time", "10 at a time;burst=10", "5/s;shared=1", "10  at a time", "10 At a time", "10 at a time/s", " at a time", "10 at a time;", "5/s;burst=2, 10 at a time;burst=5",
	"", " ", "5", "/s", "5/", "5/x", "0/s", "-1/s", "+1/s", "5/s;", "5/s;burst=0", "5/s;burst=x", "5/s;burst", "5/s;name=", "5/s;name= a", "5/s;name=a\"", "5/s;name=é", "5/s;shadow=1", "5/s;Shadow", "5/s;other=1", "5 /s", "5/ s", "5/S", "5/0d", "5/0s", "5/-5s", "5/1ns",
	"5/s;name=" + strings.Repeat("n", 65), "99999999999/s", "5/s;enforce-for=100%", "5/s;enforce-for=0%", "5/s;enforce-for=7", "2147483649/s", "1/4000d", "5/s;burst=2;burst=3", "5/s;enforce-from=2027-02-30", "5/s;enforce-from=27-01-01", "5/s;enforce-from=2027-01-31T09:00:00.5Z", "5/s;enforce-from=1970-01-01", "5/s\u00a0", "５/s",
	"unlimited", "Unlimited", " unlimited\n", "unlimited, 5/s", "5/s,", ",5/s", "5/s, 6/h;name=h", "5/s,6/h;name=h , 7/d;name=d,\t8/7d;name=w", "5/s, 6/s", "1/s, 2/s;name=a, 3/s;name=b, 4/s;name=c, 5/s;name=d", "5/s;name=a , 6/s", "1e3", "5/s\n6/s",
}

// TestSchemaAgreesOnLimits, as a policy and as one of a list.
func TestSchemaAgreesOnLimits(t *testing.T) {
	schema := compileSchema(t)
	taken := 0
	for _, text := range someLimits {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []string{`{"default":%s}`, `{"default":[%s]}`, `{"default":"5/s","keys":{"k":[%s,"1/h;name=second"]}}`, `{"default":"5/s","plans":{"p":%s}}`, `{"default":"5/s","organisations":{"x":{"limits":%s}}}`} {
			if agree(t, schema, "limits.json", fmt.Appendf(nil, format, quoted)) {
				taken++
			}
		}
		_, err = ratelimit.ParsePolicy(text)
		if ok := agree(t, schema, "limits.json", fmt.Appendf(nil, `{"default":"5/s","organisations":{"x":{"limits":%s}}}`, quoted)); ok != (err == nil) && text != "5/s\u00a0" {
			t.Errorf("%q: taken: %v, and ratelimit.ParsePolicy says %v", text, ok, err)
		}
	}
	if taken < 50 {
		t.Errorf("only %d were taken", taken)
	}
}

// TestSchemaAgreesWithParseLimit, on the texts above and on what becomes of them when one
// character is added, missing or replaced.
func TestSchemaAgreesWithParseLimit(t *testing.T) {
	schema := compileSchema(t)
	texts := map[string]bool{}
	for _, text := range someLimits {
		texts[text] = true
		if _, err := ratelimit.ParseLimit(text); err != nil || len(text) > 40 {
			continue
		}
		for i := range len(text) {
			texts[text[:i]+text[i+1:]] = true
			for _, c := range `;=/,. 0-+smx"` {
				texts[text[:i]+string(c)+text[i:]], texts[text[:i]+string(c)+text[i+1:]] = true, true
			}
		}
	}
	accepted := 0
	for text := range texts {
		if !utf8.ValidString(text) {
			continue
		}
		_, err := ratelimit.ParseLimit(text)
		invalid := schema.Validate(map[string]any{"default": []any{text}})
		switch {
		case err == nil && invalid == nil:
			accepted++
		case err == nil && strings.Trim(text, "5/s\u00a0") != "": // Parse rejects other spaces than those of ASCII
			t.Errorf("%q: ParseLimit accepts it, and the schema says\n%v", text, invalid)
		case err != nil && invalid == nil && !slices.ContainsFunc(unsaid, func(known string) bool { return strings.Contains(err.Error(), known) }):
			t.Errorf("%q is valid by the schema, and ParseLimit says\n%v", text, err)
		}
	}
	if len(texts) < 3000 || accepted < 500 {
		t.Errorf("%d texts, %d of them accepted", len(texts), accepted)
	}
}

// TestSchemaHasEveryOption that ParseLimit names where it rejects another.
func TestSchemaHasEveryOption(t *testing.T) {
	_, err := ratelimit.ParseLimit("5/s;other=1")
	options := regexp.MustCompile(`;([a-z-]+)`).FindAllStringSubmatch(strings.TrimPrefix(strings.SplitN(fmt.Sprint(err), "only by", 2)[1], " "), -1)
	if len(options) < 4 {
		t.Fatalf("%d options in %v", len(options), err)
	}
	for _, option := range options {
		if !bytes.Contains(Schema(), []byte(option[1])) || !slices.ContainsFunc(someLimits, func(text string) bool { return strings.Contains(text, ";"+option[1]) }) {
			t.Errorf("%s is not in the schema, or in no text of these tests", option[1])
		}
	}
}

// TestSchemaAgreesOnRandomFiles, most of them nearly right.
func TestSchemaAgreesOnRandomFiles(t *testing.T) {
	schema := compileSchema(t)
	random := rand.New(rand.NewPCG(3, 4))
	pick := func(from ...any) any { return from[random.IntN(len(from))] }
	limit := func() any {
		text := someLimits[random.IntN(8)]
		if random.IntN(30) == 0 {
			text = someLimits[random.IntN(len(someLimits))]
		}
		return text
	}
	limits := func() any {
		if random.IntN(60) == 0 {
			return pick(5, nil, true, []any{}, map[string]any{"rate": 5}, []any{nil}, []any{[]any{"5/s"}})
		}
		if random.IntN(3) > 0 {
			return limit()
		}
		made := []any{}
		for range 1 + random.IntN(2) {
			made = append(made, limit())
		}
		return made
	}
	key := func() string {
		if random.IntN(20) == 0 {
			return pick("", "sha256:", "sha256:ab", ratelimit.HashKey("x")+"0", "SHA256:x", "default", "é", "a b").(string) //nolint:errcheck // they are
		}
		name := fmt.Sprint("key", random.IntN(50))
		if random.IntN(3) == 0 {
			return ratelimit.HashKey(name)
		}
		return name
	}
	organisations := func() any {
		made := map[string]any{}
		for i := range random.IntN(3) {
			o := map[string]any{"plan": "gold"}
			switch random.IntN(30) {
			case 0:
				delete(o, "plan")
			case 1:
				o["limits"] = limits()
			case 2:
				o[key()] = limits()
			case 3:
				o["plan"] = pick(nil, 5, "", "none", []any{"gold"})
			case 4, 5, 6, 7, 8:
				o = map[string]any{"limits": limits()}
			}
			list, keys := []any{}, map[string]any{}
			for k := range random.IntN(3) {
				list = append(list, fmt.Sprint("member", i, k))
				keys[fmt.Sprint("own", i, k)] = pick(limits(), "1/s;name=org;shared")
			}
			switch random.IntN(10) {
			case 0:
				list = append(list, key())
			case 1:
				keys[key()] = limits()
			}
			o["members"], o["keys"] = list, keys
			if random.IntN(40) == 0 {
				o["members"] = pick(nil, []any{nil}, []any{5}, []any{[]any{}}, "x", keys)
			}
			name := fmt.Sprint("organisation ", i)
			if random.IntN(40) == 0 {
				name = pick("", "a,b", "é", " a", strings.Repeat("n", 65), strings.Repeat("n", 64), "~").(string) //nolint:errcheck // they are
			}
			if made[name] = o; random.IntN(40) == 0 {
				made[name] = pick(nil, "gold", 5, []any{}, map[string]any{})
			}
		}
		return made
	}
	taken := 0
	for range 3000 {
		document := map[string]any{}
		if random.IntN(30) > 0 {
			document["default"] = limits()
		}
		byPlan, members, keys := map[string]any{}, map[string]any{}, map[string]any{}
		for _, plan := range []string{"gold", "trial", ""}[:random.IntN(20)/9+1] {
			byPlan[plan] = limits()
		}
		for range random.IntN(4) {
			members[key()] = pick("gold", "gold", "gold", "gold", "trial", "", 5, nil, []any{"gold"})
			keys[key()] = limits()
		}
		document["plans"], document["members"], document["keys"] = byPlan, members, keys
		if random.IntN(2) == 0 {
			document["organisations"] = organisations()
		}
		switch random.IntN(30) {
		case 0:
			document["Plans"] = byPlan
		case 1:
			document["keys"] = pick(nil, []any{}, "x", 5, false)
		case 2:
			delete(document, "plans")
		}
		data, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		if agree(t, schema, "limits.json", data) {
			taken++
		}
		if agree(t, schema, "limits.yaml", data); t.Failed() {
			return
		}
	}
	if taken < 300 || taken > 2700 {
		t.Errorf("%d of 3000 were taken", taken)
	}
}

// FuzzSchema: whatever text stands for a limit, parser and schema agree.
func FuzzSchema(f *testing.F) {
	for _, text := range someLimits {
		f.Add(text)
	}
	schema := compileSchema(f)
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			return
		}
		agree(t, schema, "limits.json", fmt.Appendf(nil, `{"default":%s}`, quoted))
		agree(t, schema, "limits.json", fmt.Appendf(nil, `{"default":[%s]}`, quoted))
		agree(t, schema, "limits.json", fmt.Appendf(nil, `{"default":"5/s","members":{%s:"gold"},"plans":{%s:"5/s","gold":"1/s"}}`, quoted, quoted))
	})
}

// TestSchemaIsACopy, so that no caller changes it for others.
func TestSchemaIsACopy(t *testing.T) {
	clear(Schema())
	if !json.Valid(Schema()) {
		t.Error("it was changed")
	}
	var joined *Error
	if _, err := Parse("x.json", Schema()); !errors.As(err, &joined) {
		t.Errorf("the schema is not a file of limits: %v", err)
	}
}
