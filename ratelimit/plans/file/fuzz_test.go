package file

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// seed gives a fuzz target every file that the tests know.
func seed(f *testing.F, add func(name string, data []byte)) {
	add("limits.yaml", []byte(sampleYAML))
	add("limits.json", []byte(sampleJSON))
	files, err := filepath.Glob("testdata/rejected/*[nl]")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && filepath.Ext(file) != ".golden" {
			add(file, data)
		}
	}
}

// FuzzParse: whatever a file holds, it is a table, or an error with lines of the file.
func FuzzParse(f *testing.F) {
	seed(f, func(name string, data []byte) { f.Add(filepath.Ext(name) == ".json", data) })
	f.Fuzz(func(t *testing.T, isJSON bool, data []byte) {
		name := "limits.yaml"
		if isJSON {
			name = "limits.json"
		}
		c, err := Parse(name, data)
		if err != nil {
			checkFault(t, data, err)
			return
		}
		if _, err := plans.NewTable(c); err != nil {
			t.Errorf("no table: %v", err)
		}
	})
}

// FuzzKeysStaySecret: wherever in a file a key stands, no error holds it.
func FuzzKeysStaySecret(f *testing.F) {
	seed(f, func(name string, data []byte) {
		if filepath.Ext(name) == ".yaml" {
			f.Add("members:\n  ", ": gold\n")
			f.Add("default: 5/s\n", string(data))
		}
	})
	const canary = "kQ7canaryZ9"
	f.Fuzz(func(t *testing.T, before, after string) {
		// The name of a plan or an organisation, and what stands for its limit, may be shown.
		if strings.Contains(before, "plans") || strings.Contains(before, "organisations") || strings.Contains(before, "default") || strings.ContainsAny(before, "\\") {
			return
		}
		for _, name := range []string{"a.yaml", "a.json"} {
			if _, err := Parse(name, []byte(before+canary+after)); err != nil && strings.Contains(err.Error(), canary) {
				t.Errorf("the key can be read in %v", err)
			}
		}
	})
}

// FuzzText: a rejected character has its line, and line ends are those of editors.
func FuzzText(f *testing.F) {
	f.Add([]byte("a\r\nb\tc\x01"), true)
	f.Add([]byte("é\u0085"), false)
	f.Fuzz(func(t *testing.T, data []byte, isJSON bool) {
		found := &faults{file: "f"}
		ok := checkText(found, data, isJSON)
		if ok != (len(found.list) == 0) || ok && !utf8.Valid(data) {
			t.Errorf("%v, %v", ok, found.err())
		}
		if !ok {
			checkFault(t, data, found.err())
		}
	})
}
