package plans

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/jsontext"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/spelling"
)

// ReadTableConfig reads the JSON form of a [TableConfig], and nothing else, up to the end
// of r: an object with a "default" and optionally "plans", "members", "keys", "organisations" and "blocked", as
// [TableConfig.MarshalJSON] writes it. A policy is a text for [ratelimit.ParsePolicy] or an
// array of texts for [ratelimit.ParseLimit]. Unknown names, names that occur twice and names
// that are not UTF-8 are faults; a key that is not UTF-8 can be written as its hash.
//
// It does not hold the text in memory, and takes a second or two for a million keys. The
// error is that of r, or joins a [ratelimit.LimitError] for each fault, with the field, where
// a hash stands for a key, and the line and column, which each error returns as
// Position() (line, column int). What takes more than one place of the table, such as a key
// in two of them or a member of a plan that does not exist, [NewTable] and [Table.Replace] check.
func ReadTableConfig(r io.Reader) (TableConfig, error) {
	t := tableReader{in: jsontext.NewReader(r), names: make(map[string]bool), plans: make(map[string]string), policies: make(map[policyText]*ratelimit.Policy)}
	err := t.table()
	if fault, ok := errors.AsType[*jsontext.SyntaxError](err); ok {
		t.fault(fault.Position, "TableConfig", fault.Found, fault.Want)
	} else if err != nil {
		return TableConfig{}, err
	}
	if err := t.faults.join(); err != nil {
		return TableConfig{}, err
	}
	return t.config, nil
}

// A tableReader reads a table value by value. It notes the faults of an entry and continues
// with the next one, until the text is not JSON.
type tableReader struct {
	in       *jsontext.Scanner
	config   TableConfig
	names    map[string]bool // of the parts
	plans    map[string]string
	policies map[policyText]*ratelimit.Policy
	faults   faultList
}

func (t *tableReader) fault(at jsontext.Position, field string, value any, want string) {
	t.faults.add(&placedError{at, &ratelimit.LimitError{Field: field, Value: value, Want: want}})
}

// table reads all of it.
func (t *tableReader) table() error {
	root, err := t.in.Value()
	if err != nil {
		return err
	}
	if root.Kind != jsontext.Map {
		t.fault(root.Position, "TableConfig", kindOf(root), `must be one JSON object, such as {"default": "5/s"}`)
		return t.in.Skip(root)
	}
	if err := t.in.Entries(t.part); err != nil {
		return err
	}
	if !t.names["default"] {
		t.fault(root.Position, "TableConfig.Default", "missing", `must be there, such as "default": "5/s"`)
	}
	return t.in.End()
}

// part reads one of the parts.
func (t *tableReader) part(at jsontext.Position, name string) error {
	v, err := t.in.Value()
	if err != nil {
		return err
	}
	twice := t.names[name]
	switch name {
	case "default", "plans", "members", "keys", "organisations", "blocked":
		t.names[name] = true
	default:
		t.unknown(at, "TableConfig", name, []string{"default", "plans", "members", "keys", "organisations", "blocked"})
		return t.in.Skip(v)
	}
	field := fieldOf("TableConfig", name)
	switch {
	case twice:
		t.fault(at, field, "there twice", "must not be there twice")
	case name == "default":
		t.config.Default, err = t.policy(v, "Default", "")
		return err
	case v.Kind != jsontext.Map:
		t.fault(v.Position, field, kindOf(v), "must be an object")
	case name == "plans":
		return t.in.Entries(t.entry("Plans", &t.config.Plans))
	case name == "members":
		return t.in.Entries(t.member)
	case name == "organisations":
		return t.in.Entries(t.organisation)
	case name == "blocked":
		return t.in.Entries(t.block)
	default:
		return t.in.Entries(t.entry("Keys", &t.config.Keys))
	}
	return t.in.Skip(v)
}

// fieldOf returns the place of a field.
func fieldOf(in, name string) string { return in + "." + strings.ToUpper(name[:1]) + name[1:] }

// unknown notes the fault of a name that is none of a few. It shows the name only if that is
// one of them misspelt: it may be a misplaced key.
func (t *tableReader) unknown(at jsontext.Position, in, found string, names []string) {
	if name := spelling.Meant(found, names); name != "" {
		t.fault(at, fieldOf(in, name), fmt.Sprintf("unknown name %s", found), fmt.Sprintf("must be spelt %q", name))
		return
	}
	last := len(names) - 1
	t.fault(at, in, "unknown name", "must be one of "+strings.Join(names[:last], ", ")+" and "+names[last])
}

// usable reports whether an entry's name can be used, and notes a fault if not.
func (t *tableReader) usable(at jsontext.Position, in, name string, twice bool) bool {
	switch {
	case !validText(name):
		t.fault(at, placeOf(in, name), "not UTF-8", "must be text without U+FFFD; a key that is not can be written as its hash")
	case twice:
		t.fault(at, placeOf(in, name), "there twice", "must be there once")
	default:
		return true
	}
	return false
}

// entry returns the function that reads an entry of plans or keys: a policy by its name.
func (t *tableReader) entry(in string, m *map[string]*ratelimit.Policy) func(jsontext.Position, string) error {
	return func(at jsontext.Position, name string) error {
		v, err := t.in.Value()
		if err != nil {
			return err
		}
		_, twice := (*m)[name]
		ok := t.usable(at, in, name, twice)
		p, err := t.policy(v, in, name)
		if ok {
			put(m, name, p)
		}
		return err
	}
}

func (t *tableReader) member(at jsontext.Position, key string) error {
	v, err := t.in.Value()
	if err != nil {
		return err
	}
	_, twice := t.config.Members[key]
	ok := t.usable(at, "Members", key, twice)
	if v.Kind != jsontext.Text {
		t.fault(v.Position, place("Members", key), kindOf(v), "must be the name of a plan, such as \"gold\"")
		v.Text = ""
	}
	if ok {
		put(&t.config.Members, key, t.plan(v.Text))
	}
	return t.in.Skip(v)
}

// block reads the block of one key.
func (t *tableReader) block(at jsontext.Position, key string) error {
	v, err := t.in.Value()
	if err != nil {
		return err
	}
	_, twice := t.config.Blocked[key]
	ok := t.usable(at, "Blocked", key, twice)
	var b ratelimit.Block
	if v.Kind == jsontext.Text {
		b, err = ratelimit.ParseBlock(strings.Clone(v.Text))
		for _, fault := range ratelimit.Faults(err) {
			t.fault(v.Position, place("Blocked", key), nil, fault.Want) // without the text: it may be the key
		}
	} else {
		t.fault(v.Position, place("Blocked", key), kindOf(v), `must be a text such as "blocked" or "blocked;until=2026-12-04T18:00:00Z"`)
	}
	if ok {
		put(&t.config.Blocked, key, b)
	}
	return t.in.Skip(v)
}

// plan returns a copy of the name of a plan, one for all its members.
func (t *tableReader) plan(name string) string {
	plan, known := t.plans[name]
	if !known {
		plan = strings.Clone(name)
		t.plans[plan] = plan
	}
	return plan
}

// put enters a value under a copy of its key, which is a part of the text.
func put[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = make(map[string]V)
	}
	(*m)[strings.Clone(key)] = v
}

// kindOf names the kind of a value, and shows nothing of it: it may be a misplaced key.
func kindOf(v jsontext.Value) string {
	return [...]string{
		jsontext.Text: "a text", jsontext.Number: "a number", jsontext.Bool: "true or false", jsontext.Null: "null", jsontext.List: "an array", jsontext.Map: "an object",
	}[v.Kind]
}
