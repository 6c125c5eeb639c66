package file

import (
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

var update = flag.Bool("update", false, "write the golden files anew")

//go:embed testdata/limits.yaml
var sampleYAML string

const sampleJSON = `{
	"default": "5/s",
	"plans": {
		"gold": ["50/s", "100000/d;name=daily"],
		"trial": "1/s, 1000/d;name=daily;enforce-from=2027-01-31",
		"staff": "unlimited"
	},
	"members": {
		"customer-17": "gold",
		"sha256:86DE594f7827c0bb6c7eb12b9785936d7d101c6b6143285da524a8654cae77ab": "gold",
		"12345": "trial", "1e3": "staff", "0x10": "trial", "true": "trial", "null": "trial",
		"2027-01-01": "trial", "quoted\u0020key": "trial"
	},
	"keys": {"customer-19": "7/s", "customer-20": ["7/s", "70/h;name=hourly"]},
	"organisations": {
		"acme": {
			"members": ["acme-1", "4711", "sha256:D7A8FBB307D7809469CA9ABCB0082E4F8D5651E46D3CDB762D02D0BF37C9E592"],
			"keys": {"acme-2": "2/s, 60/h;name=org;shared", "acme-3": ["3/s", "60/h;name=org;shared"]},
			"plan": "trial"
		},
		"12": {"limits": "9/s;shared", "members": ["twelve-1", "true-2"]},
		"idle": {"plan": "gold", "keys": {}}
	},
	"blocked": {
		"acme-9": "blocked;until=9999-12-04T18:00:00Z;reason=chargeback 4711", "4712": "blocked;reason=x",
		"sha256:9105D00C26D2FFA2B0379F8A346A671423F19908941A1A8D5E8F1DEE2023DF92": "blocked"
	}
}`

// TestParse: both formats give the same table, and a key is the text as it is written.
func TestParse(t *testing.T) {
	for name, text := range map[string]string{
		"limits.yaml": sampleYAML, "limits.yml": "\ufeff" + strings.ReplaceAll(sampleYAML, "\n", "\r\n"),
		"limits.JSON": sampleJSON, "limits": sampleYAML, "flow.yaml": strings.ReplaceAll(sampleJSON, "\t", " "),
		"crlf.json": "\ufeff" + strings.ReplaceAll(sampleJSON, "\n", "\r\n"),
	} {
		c, err := Parse(name, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		table, err := plans.NewTable(c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		gold, trial := "50/s, 100000/d;name=daily", "1/s, 1000/d;name=daily;enforce-from=2027-01-31"
		for key, want := range map[string]string{
			"anyone": "5/s", "customer-17": gold, "customer-18": gold, "12345": trial, "1e3": "unlimited", "1000": "5/s", "0x10": trial,
			"16": "5/s", "true": trial, "null": trial, "": "5/s", "2027-01-01": trial, "quoted key": trial, "customer-19": "7/s", "customer-20": "7/s, 70/h;name=hourly",
		} {
			if p, err := table.PolicyFor(t.Context(), key); err != nil || p.String() != want {
				t.Errorf("%s: %q has %v, %v; want %s", name, key, p, err, want)
			}
		}
		for key, want := range map[string][2]string{
			"acme-1": {"acme", trial}, "4711": {"acme", trial}, "The quick brown fox jumps over the lazy dog": {"acme", trial}, "acme-2": {"acme", "2/s, 60/h;name=org;shared"}, "acme-3": {"acme", "3/s, 60/h;name=org;shared"},
			"twelve-1": {"12", "9/s;shared"}, "true-2": {"12", "9/s;shared"}, "customer-17": {"", gold}, "acme": {"", "5/s"},
		} {
			if p, err := table.PolicyFor(t.Context(), key); err != nil || p.String() != want[1] || p.Home() != want[0] {
				t.Errorf("%s: %q has %v in %q, %v; want %v", name, key, p, p.Home(), err, want)
			}
		}
		for key, want := range map[string]string{"acme-9": "blocked;until=9999-12-04T18:00:00Z;reason=chargeback 4711", "stopped-2": "blocked", "4712": "blocked;reason=x"} {
			if b, ok := table.BlockOf(key); !ok || b.String() != want {
				t.Errorf("%s: %q has %v, %v; want %s", name, key, b, ok, want)
			}
		}
		if table.Snapshot().Organisations()["idle"].Plan != "gold" {
			t.Errorf("%s: no organisation without keys", name)
		}
	}
}

// TestParseMinimal: only default is required, and a field may be empty.
func TestParseMinimal(t *testing.T) {
	for name, text := range map[string]string{
		"a.yaml": "default: 5/s", "b.yaml": "--- # one document\ndefault: 5/s\nplans:\nmembers:\nkeys: {}\n", "c.json": `{"default":"5/s","plans":null,"members":{}}`,
		"e.yaml": "default: 5/s\norganisations:\n", "f.json": `{"default":"5/s","organisations":null}`,
		"d.yaml": "---\n\"default\": '5/s'\n...\n",
	} {
		if c, err := Parse(name, []byte(text)); err != nil || c.Default.String() != "5/s" || len(c.Plans)+len(c.Members)+len(c.Keys)+len(c.Organisations) != 0 {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// TestParseRejects compares the error of each file in testdata/rejected with the golden
// text beside it. "canary" stands for keys there, and must be in none.
func TestParseRejects(t *testing.T) {
	files, err := filepath.Glob("testdata/rejected/*")
	if err != nil || len(files) < 60 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if filepath.Ext(file) == ".golden" {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c, err := Parse(filepath.Base(file), data)
			if err == nil {
				t.Fatalf("it was taken: %+v", c)
			}
			checkFault(t, data, err)
			if strings.Contains(strings.ToLower(fmt.Sprintf("%v %+v %#v", err, err, err)), "canary") {
				t.Errorf("the key can be read in: %v", err)
			}
			golden := file + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(err.Error()+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, readErr := os.ReadFile(golden)
			if readErr != nil || string(want) != err.Error()+"\n" {
				t.Errorf("found:\n%v\nwant:\n%s%v", err, want, readErr)
			}
		})
	}
}

// checkFault wants errors whose lines are in the file.
func checkFault(t *testing.T, data []byte, err error) {
	t.Helper()
	var fault *Error
	if !errors.As(err, &fault) {
		t.Errorf("no Error: %v", err)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		t.Fatalf("not joined: %T", err)
	}
	lines, before := strings.Count(string(data), "\n")+1, 0
	for i, err := range joined.Unwrap() {
		if !errors.As(err, &fault) {
			t.Fatalf("no Error: %v", err)
		}
		last := i == mostFaults
		if fault.Line > lines || !last && fault.Line < before || fault.Line < 0 || fault.Column < 0 || fault.File == "" || fault.Found == "" || !last && fault.Want == "" {
			t.Errorf("of %d lines, behind line %d: %+v", lines, before, *fault)
		}
		if !last && fault.Line == 0 && len(data) > 0 && len(strings.TrimSpace(string(data))) > 0 && !strings.HasPrefix(fault.Found, "an empty file") {
			t.Errorf("no line: %v", fault)
		}
		before = fault.Line
	}
}

// TestColumnsOfOneLongLine: a file can be one line with characters beyond ASCII. Its columns
// must not be counted from the beginning of the line for each entry: 1 MB would take minutes.
func TestColumnsOfOneLongLine(t *testing.T) {
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
		// The column of an entry behind them is right.
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

// TestParseReportsManyFaults, and how many more there are.
func TestParseReportsManyFaults(t *testing.T) {
	var text strings.Builder
	text.WriteString("default: 5/s\nplans:\n  gold: 5\nmembers:\n")
	for i := range 200_000 {
		fmt.Fprintf(&text, "  key%d: silver\n", i%150_000)
	}
	_, err := Parse("limits.yaml", []byte(text.String()))
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 21 || !strings.HasPrefix(lines[0], "limits.yaml:3:9: plans.gold: ") || !strings.HasPrefix(lines[1], "limits.yaml:5:9: members[sha256:") || lines[20] != "limits.yaml: found 249981 more faults" {
		t.Errorf("%d lines: %v", len(lines), err)
	}
}

// TestParseTooLarge: what is too large is not looked at.
func TestParseTooLarge(t *testing.T) {
	_, err := Parse("limits.json", make([]byte, MaxSize+1))
	if err == nil || err.Error() != "limits.json: found 268435457 bytes; must not be larger than 256 MiB" {
		t.Error(err)
	}
}

// TestParseKeepsNothing of the text: a table of a few plain keys must not hold a file of
// many hashes in memory.
func TestParseKeepsNothing(t *testing.T) {
	data := []byte(sampleYAML)
	c, err := Parse("limits.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	clear(data)
	if o := c.Organisations["acme"]; o.Plan != "trial" || o.Members[0] != "acme-1" || o.Keys["acme-2"] == nil {
		t.Errorf("%+v", o)
	}
	if c.Members["customer-17"] != "gold" || c.Keys["customer-19"].String() != "7/s" {
		t.Errorf("%+v", c)
	}
}
