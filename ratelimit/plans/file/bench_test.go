package file

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyrate/keyrate/ratelimit"
)

// million returns a file of n keys, every second one hashed, and one in ten with limits of
// its own.
func million(n int, isJSON bool) []byte {
	var members, keys strings.Builder
	write := func(b *strings.Builder, key, value string) {
		switch {
		case !isJSON:
			fmt.Fprintf(b, "  %s: %s\n", key, value)
		case b.Len() > 0:
			fmt.Fprintf(b, ",\n    %q: %q", key, value)
		default:
			fmt.Fprintf(b, "    %q: %q", key, value)
		}
	}
	byPlan := []string{"gold", "trial", "staff"}
	for i := range n {
		key := fmt.Sprintf("customer-%07d", i)
		if i%2 == 1 {
			key = ratelimit.HashKey(key)
		}
		if i%10 == 0 {
			write(&keys, key, fmt.Sprintf("%d/s", 1+i%50))
		} else {
			write(&members, key, byPlan[i%3])
		}
	}
	if isJSON {
		return []byte("{\n  \"default\": \"5/s\",\n  \"plans\": {\"gold\": [\"50/s\", \"100000/d;name=daily\"], \"trial\": \"1/s\", \"staff\": \"unlimited\"},\n" +
			"  \"members\": {\n" + members.String() + "\n  },\n  \"keys\": {\n" + keys.String() + "\n  }\n}\n")
	}
	return []byte("default: 5/s\nplans:\n  gold: [50/s, 100000/d;name=daily]\n  trial: 1/s\n  staff: unlimited\nmembers:\n" + members.String() + "keys:\n" + keys.String())
}

// BenchmarkOpen loads a million keys from a file into a table.
func BenchmarkOpen(b *testing.B) {
	for _, name := range []string{"limits.yaml", "limits.json"} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), name)
			if err := os.WriteFile(path, million(1_000_000, name == "limits.json"), 0o600); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				f, err := Open(path, Config{})
				if err != nil {
					b.Fatal(err)
				}
				if s := f.Status(); s.Keys != 1_000_000 {
					b.Fatalf("%+v", s)
				}
			}
		})
	}
}

// BenchmarkParseByLibrary is what YAML takes if no line of a million is read here.
func BenchmarkParseByLibrary(b *testing.B) {
	text := string(million(1_000_000, false))
	for b.Loop() {
		r := yamlReader{faults: &faults{}}
		if _, ok := r.document(text); !ok {
			b.Fatal("it does not parse")
		}
	}
}

// BenchmarkParseOrganisations reads 100,000 keys of 10,000 organisations, and beside them as
// many members of a plan.
func BenchmarkParseOrganisations(b *testing.B) {
	texts := map[string]*strings.Builder{}
	for _, name := range []string{"members.yaml", "lists.yaml", "blocks.yaml", "organisations.json"} {
		texts[name] = new(strings.Builder)
		if filepath.Ext(name) == ".yaml" {
			texts[name].WriteString("default: 5/s\nplans:\n  gold: 50/s\n" + map[bool]string{true: "members:\n", false: "organisations:\n"}[name == "members.yaml"])
		} else {
			texts[name].WriteString(`{"default": "5/s", "plans": {"gold": "50/s"}, "organisations": {`)
		}
	}
	for i := range 10_000 {
		var keys []string
		for k := range 10 {
			keys = append(keys, fmt.Sprintf("customer-%05d-%d", i, k))
		}
		fmt.Fprintf(texts["members.yaml"], "  %s: gold\n", strings.Join(keys, ": gold\n  "))
		fmt.Fprintf(texts["lists.yaml"], "  org-%d:\n    plan: gold\n    members: [%s]\n", i, strings.Join(keys, ", "))
		fmt.Fprintf(texts["blocks.yaml"], "  org-%d:\n    plan: gold\n    members:\n      - %s\n", i, strings.Join(keys, "\n      - "))
		fmt.Fprintf(texts["organisations.json"], "%s\"org-%d\": {\"plan\": \"gold\", \"members\": [\"%s\"]}", map[bool]string{true: ",\n"}[i > 0], i, strings.Join(keys, `", "`))
	}
	texts["organisations.json"].WriteString("}}")
	for name, text := range texts {
		data := []byte(text.String())
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := Parse(name, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
