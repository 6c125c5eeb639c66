package plans

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
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
//	  "keys": {"customer-19": "7/s"},
//	  "organisations": {
//	    "acme": {"plan": "team", "members": ["customer-21", "customer-22"], "keys": {"customer-23": "1/s"}},
//	    "initech": {"limits": ["9/s", "100/m;name=org;shared"], "members": ["customer-24"]}
//	  },
//	  "blocked": {"customer-17": "blocked;until=2026-12-04T18:00:00Z;reason=chargeback"}
//	}
//
// It writes keys in plain text, secret or not; only a key that is not UTF-8 is written as its
// hash. It returns an error for what [NewTable] rejects, except for a key that is there twice.
// [Snapshot.WriteTo] writes hashes in place of all keys.
func (c TableConfig) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	t := tableWriter{w: bufio.NewWriter(&b)}
	t.begin(c.Default, c.Plans)
	t.keys(byName(c.Members), byName(c.Keys))
	for _, name := range slices.Sorted(maps.Keys(c.Organisations)) {
		o := c.Organisations[name]
		t.organisation(name, o.Plan, o.Limits, inOrder(o.Members), byName(o.Keys))
	}
	t.blocked(c.Blocked)
	if err := t.finish(); err != nil {
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
			if !yield(writable(key), m[key]) {
				return
			}
		}
	}
}

// inOrder yields keys as byName does.
func inOrder(keys []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, key := range slices.Sorted(slices.Values(keys)) {
			if !yield(writable(key)) {
				return
			}
		}
	}
}

// writable returns a name, or its hash if JSON cannot hold it.
func writable(name string) string {
	if !validText(name) {
		return ratelimit.HashKey(name)
	}
	return name
}

// validText reports whether JSON can hold s. Parsers replace invalid bytes by U+FFFD, which could
// make two keys equal, so U+FFFD itself is not valid.
func validText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError)
}

// A tableWriter writes the parts of a table until the first error, one entry per line.
type tableWriter struct {
	w     *bufio.Writer
	line  []byte
	texts map[*ratelimit.Policy][]byte // of policies seen before
	some  bool                         // organisations
	err   error
}

// begin writes the default and the plans.
func (t *tableWriter) begin(fallback *ratelimit.Policy, plans map[string]*ratelimit.Policy) {
	t.write("{\n  \"default\": ")
	t.policy("Default", "", fallback)
	t.part("  ", "plans", "Plans", byName(plans))
}

// keys writes the keys that belong to no organisation.
func (t *tableWriter) keys(members iter.Seq2[string, string], keys iter.Seq2[string, *ratelimit.Policy]) {
	first := true
	for key, plan := range members {
		t.entry("  ", "members", key, &first)
		t.string(plan)
	}
	t.end("  ", first)
	t.part("  ", "keys", "Keys", keys)
}

// part writes policies by name.
func (t *tableWriter) part(indent, part, in string, policies iter.Seq2[string, *ratelimit.Policy]) {
	first := true
	for name, p := range policies {
		t.entry(indent, part, name, &first)
		t.policy(in, name, p)
	}
	t.end(indent, first)
}

// organisation writes an organisation. They are the last part but for blocked.
func (t *tableWriter) organisation(name, plan string, limits *ratelimit.Policy, members iter.Seq[string], keys iter.Seq2[string, *ratelimit.Policy]) {
	in, first := organisationIn(name), !t.some
	if fault := organisationFault(name, plan, limits); fault != nil && t.err == nil {
		t.err = fault
	}
	t.entry("  ", "organisations", name, &first)
	t.some = true
	if limits == nil {
		t.write("{\n      \"plan\": ")
		t.string(plan)
	} else {
		t.write("{\n      \"limits\": ")
		t.policy(in+".Limits", "", limits)
	}
	first = true
	for key := range members {
		if first {
			t.write(",\n      \"members\": [\n        ")
		} else {
			t.write(",\n        ")
		}
		first = false
		t.string(key)
	}
	if !first {
		t.write("\n      ]")
	}
	t.part("      ", "keys", in+".Keys", keys)
	t.write("\n    }")
}

// blocked writes the blocks, which are the last part.
func (t *tableWriter) blocked(blocks map[string]ratelimit.Block) {
	t.end("  ", !t.some) // the organisations
	first := true
	for key, b := range byName(blocks) {
		text, err := b.MarshalText()
		if err != nil && t.err == nil {
			t.err = err
		}
		t.entry("  ", "blocked", key, &first)
		t.string(string(text))
		t.flush()
	}
	t.end("  ", first)
}

// finish ends the table.
func (t *tableWriter) finish() error {
	t.write("\n}\n")
	return cmp.Or(t.err, t.w.Flush())
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
func (t *tableWriter) entry(indent, part, name string, first *bool) {
	t.line = append(t.line, ",\n"...)
	t.line = append(t.line, indent...)
	if *first {
		t.line = append(append(append(t.line, '"'), part...), "\": {\n"...)
		t.line = append(t.line, indent...)
		*first = false
	}
	t.line = append(t.line, "  "...)
	t.string(name)
	t.line = append(t.line, ": "...)
}

func (t *tableWriter) end(indent string, none bool) {
	if !none {
		t.write("\n" + indent + "}")
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
	if limits := p.Limits(); len(limits) > 1 && !strings.HasPrefix(p.String(), "blocked") { // as no limit begins
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
	}
	if strings.HasSuffix(in, ".Limits") { // of an organisation
		return "TableConfig." + in
	}
	return place(in, key)
}
