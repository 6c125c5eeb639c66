package file

import (
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// FuzzRuns: what is cut out and read here gives the same as if the library reads it.
func FuzzRuns(f *testing.F) {
	seed(f, func(name string, data []byte) {
		if filepath.Ext(name) == ".yaml" {
			f.Add(data)
		}
	})
	for _, text := range runTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { compareRuns(t, data) })
}

// compareRuns reports whether runs were cut and used.
func compareRuns(t *testing.T, data []byte) (used bool) {
	t.Helper()
	if !checkText(&faults{}, data, false) {
		return false
	}
	text := string(data)
	library := yamlReader{faults: &faults{}}
	want, wantOK := library.document(text)
	for _, least := range []int{1, 2, 3} {
		reduced, runs := cutRuns(text, least)
		if len(runs) == 0 {
			if reduced != "" && reduced != text {
				t.Errorf("without runs the text became %q", reduced)
			}
			continue
		}
		r := yamlReader{faults: &faults{}, runs: runs}
		got, ok := r.document(reduced)
		if !ok || len(r.runs) > 0 {
			continue // the library reads the whole
		}
		used = true
		if !wantOK || !reflect.DeepEqual(tree(got), tree(want)) || !reflect.DeepEqual(r.list, library.list) {
			t.Errorf("runs of %d lines of\n%s\nas\n%s\nare\n%v\nand the library reads\n%v, %v\n%v\n%v", least, text, reduced, tree(got), wantOK, tree(want), r.list, library.list)
		}
	}
	return used
}

// tree returns a node for comparison and print.
func tree(n node) any {
	made := []any{n.at, n.kind, n.text}
	if n.inside != nil {
		for _, item := range n.inside.items {
			made = append(made, tree(item))
		}
		for _, e := range n.inside.entries {
			made = append(made, e.at, e.key, tree(e.value))
		}
	}
	return made
}

// runTexts are near what a run is, or would be if it were not for something before or behind.
var runTexts = []string{
	"default: 5/s\nmembers:\n  a: gold\n  b: gold # c\n\n# d\n  c: 5/s, 6/h;name=x\n",
	"members:\n  a: gold\n  b: gold\n   more\n",
	"members:\n  a: gold\n  b: gold\n# comment\n    more\n",
	"members:\n  a: gold\n  b: gold\n\tmore\n",
	"members:\n  a: gold\n  b: gold\n  more: |\n    a: gold\n  c: d\n  e: f\n",
	"members:\n  x: |\n  a: gold\n  b: gold\n",
	"members:\n  x: \"\n  a: gold\n  b: gold\n  \"\n",
	"members:\n  x: '\n  a: gold\n  b: gold\n  '\n  c: d\n",
	"x: \"\nmembers:\n  a: gold\n  b: gold\n\"\n",
	"members:\n  x:\n    a: gold\n    b: gold\n  c: gold\n",
	"{\nmembers:\n  a: gold\n  b: gold\n}\n",
	"{\nmembers:\n  { a: gold,\n  b: gold\n}}\n",
	"members: {\n  a: gold\n  b: gold\n}\n",
	"members: # c\r\n  a: gold\r\n  b: gold\r\nkeys:\r\n  a: 5/s\r\n  b: 5/s",
	"? members:\n  a: gold\n  b: gold\n",
	"members:\n  ? a\n  : b\n  c: d\n  e: f\n",
	"members:\n  - a\n  b: c\n  d: e\n",
	"members:\n  a: b\n  c: d\n  - e\n",
	"members:\n  a: b\n  c: d\n...\n",
	"members:\n  a: b\n  c: d\n---\nmembers:\n  e: f\n",
	"a: |\n\nmembers:\n  a: b\n  c: d\n",
	"|\nmembers:\n  a: b\n  c: d\n",
	"members:\n  a: b\n  c: d\nmembers:\n  a: b\n  c: d\n",
	"members:\n a: b\n a: c\n  x: y\n a: d\n",
	"members:\n    a: b\n    c: d\n  e: f\n  g: h\n",
	"members:\n  keyrate-run1: x\n  keyrate-run2: x\n  a: b\n",
	"members:\n  a:b: c\n  sha256:ab: d\n  a:: b\n  a: :b\n",
	"members:\n  a: b#c\n  a#b: c\n  c: d #\n  d: e#\n",
	"members:\n  a: b  c\n  a: b , c\n  a: b,\n  a: -\n",
	"members:\n  1e3: 0x10\n  null: true\n  2027-01-01: 2027-01-01\n  ~: ~\n  _: =\n  a: =\n",
	"- members:\n  a: b\n  c: d\n",
	"members:\n  &x a: b\n  c: d\n  e: f\n  *x : g\n",
	"members:\n  é: b\n  c: d\n  e: f # é\n  g: h\n",
	"members:\n  a: b\n  c: d\n  <<: {e: f}\n  g: h\n",
}

// TestRunsAreReadAlike tries the texts above, and random ones of their lines.
func TestRunsAreReadAlike(t *testing.T) {
	var lines []string
	for _, text := range append(runTexts, sampleYAML) {
		compareRuns(t, []byte(text))
		lines = append(lines, strings.SplitAfter(strings.ReplaceAll(text, "\r", ""), "\n")...)
	}
	random := rand.New(rand.NewPCG(1, 2))
	used := 0
	for range 5_000 {
		var text strings.Builder
		text.WriteString("default: 5/s\nmembers:\n")
		for range 1 + random.IntN(8) {
			text.WriteString(lines[random.IntN(len(lines))])
		}
		if compareRuns(t, []byte(text.String())) {
			used++
		}
		if t.Failed() {
			return
		}
	}
	if used < 250 {
		t.Errorf("only in %d texts runs were used", used)
	}
}

// TestRunsAreUsed where there are many lines, also with others among them.
func TestRunsAreUsed(t *testing.T) {
	text := string(million(1000, false))
	text = strings.Replace(text, "\n  customer-0000500", "\n  \"in quotes\": gold\n  customer-0000500", 1)
	reduced, runs := cutRuns(text, leastRun)
	if len(runs) != 3 || strings.Count(reduced, "\n") > 20 {
		t.Errorf("%d runs, and left is\n%s", len(runs), reduced)
	}
	if !compareRuns(t, []byte(text)) {
		t.Error("not used")
	}
}
