package plans

import (
	"bytes"
	"encoding/json"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/keyrate/keyrate/ratelimit"
)

// MarshalJSON writes c as [ReadTableConfig] reads it, in the order of the names:
//
//	{
//	  "default": "5/s",
//	  "plans": {"gold": ["50/s", "100000/d;name=daily"], "staff": "unlimited"},
//	  "members": {"customer-17": "gold", "sha256:86de594f7827c0bb…": "gold"},
//	  "keys": {"customer-19": "7/s"}
//	}
//
// It writes keys in plain text, secret or not; only a key that is not UTF-8 is written as its
// hash. It returns an error for what [NewTable] rejects, except for a key that is there twice.
// [Snapshot.WriteTo] writes hashes in place of all keys.
func (c TableConfig) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := writeTable(&b, c.Default, c.Plans, byName(c.Members), byName(c.Keys)); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// UnmarshalJSON is [ReadTableConfig] for a table that is part of another value. On an error it
// leaves c unchanged.
func (c *TableConfig) UnmarshalJSON(data []byte) error {
	read, err := ReadTableConfig(bytes.NewReader(data))
	if err == nil {
		*c = read
	}
	return err
}

// byName yields a map in the order of its names. Names that JSON cannot hold become hashes.
func byName[V any](m map[string]V) iter.Seq2[string, V] {
	return func(yield func(string, V) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			name := key
			if !validText(key) {
				name = ratelimit.HashKey(key)
			}
			if !yield(name, m[key]) {
				return
			}
		}
	}
}

// validText reports whether JSON can hold s. Parsers replace invalid bytes by U+FFFD, which could
// make two keys equal, so U+FFFD itself is not valid.
func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError)
}

// writeTable writes a table, one entry per line.
func writeTable(w io.Writer, fallback *ratelimit.Policy, plans map[string]*ratelimit.Policy, members iter.Seq2[string, string], keys iter.Seq2[string, *ratelimit.Policy]) error {
	t := tableWriter{w: w}
	t.write("{\n  \"default\": ")
	t.policy("Default", "", fallback)
	first := true
	for name, p := range byName(plans) {
		t.entry("plans", name, &first)
		t.policy("Plans", name, p)
	}
	t.end(first)
	first = true
	for key, plan := range members {
		t.entry("members", key, &first)
		t.string(plan)
	}
	t.end(first)
	first = true
	for key, p := range keys {
		t.entry("keys", key, &first)
		t.policy("Keys", key, p)
	}
	t.end(first)
	t.write("\n}\n")
	return t.err
}

// A tableWriter writes the parts of a table until the first error.
type tableWriter struct {
	w     io.Writer
	line  []byte
	texts map[*ratelimit.Policy][]byte // of policies seen before
	err   error
}

func (t *tableWriter) write(s string) {
	t.line = append(t.line, s...)
	t.flush()
}

func (t *tableWriter) flush() {
	if t.err == nil {
		_, t.err = t.w.Write(t.line)
	}
	t.line = t.line[:0]
}

// entry begins an entry of a part of the table, and before the first entry the part.
func (t *tableWriter) entry(part, name string, first *bool) {
	if *first {
		t.line = append(append(append(t.line, ",\n  \""...), part...), "\": {\n    "...)
		*first = false
	} else {
		t.line = append(t.line, ",\n    "...)
	}
	t.string(name)
	t.line = append(t.line, ": "...)
}

func (t *tableWriter) end(none bool) {
	if !none {
		t.write("\n  }")
	}
}

// string writes a string. Most need no escapes: hashes and names of plans.
func (t *tableWriter) string(s string) {
	for _, c := range []byte(s) {
		if c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, err := json.Marshal(s)
			if t.err == nil {
				t.err = err
			}
			t.line = append(t.line, quoted...)
			return
		}
	}
	t.line = append(append(append(t.line, '"'), s...), '"')
}

// policy writes a policy and ends the line.
func (t *tableWriter) policy(in, key string, p *ratelimit.Policy) {
	defer t.flush()
	text := t.texts[p]
	if text == nil {
		if err := checkPolicy(p); err != nil {
			if err.Field = placeOf(in, key); t.err == nil {
				t.err = err
			}
			return
		}
		text = policyJSON(p)
		if t.texts == nil {
			t.texts = make(map[*ratelimit.Policy][]byte)
		}
		if len(t.texts) < mostTexts {
			t.texts[p] = text
		}
	}
	t.line = append(t.line, text...)
}

// mostTexts is how many texts are kept at most.
const mostTexts = 10_000

// policyJSON returns the text of a policy, or a list of texts if it has several limits.
func policyJSON(p *ratelimit.Policy) []byte {
	var text []byte
	if limits := p.Limits(); len(limits) > 1 {
		text, _ = json.Marshal(limits)
	} else {
		text, _ = json.Marshal(p.String())
	}
	return text
}

// placeOf returns the place of the default, a plan or a key.
func placeOf(in, key string) string {
	switch in {
	case "Default":
		return "TableConfig.Default"
	case "Plans":
		return planPlace(key)
	default:
		return place(in, key)
	}
}
