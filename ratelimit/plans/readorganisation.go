package plans

import (
	"strings"

	"github.com/keyrate/keyrate/ratelimit/plans/internal/homes"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/jsontext"
)

// organisation reads one organisation.
func (t *tableReader) organisation(at jsontext.Position, name string) error {
	v, err := t.in.Value()
	if err != nil {
		return err
	}
	if v.Kind != jsontext.Map {
		// By its hash: it may be a key with its plan.
		t.fault(v.Position, place("Organisations", name), kindOf(v), `must be an object, such as {"plan": "gold", "members": ["customer-17"]}`)
		return t.in.Skip(v)
	}
	name = strings.Clone(name)
	in := organisationIn(name)
	if !homes.ValidName(name) {
		t.fault(at, "TableConfig."+in, "a name that cannot be used", homes.WantName)
	} else if _, twice := t.config.Organisations[name]; twice {
		t.fault(at, "TableConfig."+in, "there twice", "must be there once")
	}
	r := organisationReader{tableReader: t, in: in, fields: make(map[string]bool, 3)}
	err = t.in.Entries(r.field)
	switch {
	case err != nil:
		return err
	case r.fields["plan"] && r.fields["limits"]:
		t.fault(v.Position, "TableConfig."+in, "plan and limits", wantEither)
	case !r.fields["plan"] && !r.fields["limits"]:
		t.fault(v.Position, "TableConfig."+in, "neither plan nor limits", `must have one of them, such as "plan": "gold"`)
	}
	put(&t.config.Organisations, name, r.read)
	return nil
}

// An organisationReader reads the fields of an organisation.
type organisationReader struct {
	*tableReader
	in     string
	fields map[string]bool // that were there
	read   Organisation
}

func (r *organisationReader) field(at jsontext.Position, name string) error {
	v, err := r.tableReader.in.Value()
	if err != nil {
		return err
	}
	field := "TableConfig." + r.in
	switch name {
	case "plan", "limits", "members", "keys":
		field = fieldOf(field, name)
	default:
		r.unknown(at, field, name, []string{"plan", "limits", "members", "keys"})
		return r.tableReader.in.Skip(v)
	}
	twice := r.fields[name]
	r.fields[strings.Clone(name)] = true
	switch {
	case twice:
		r.fault(at, field, "there twice", "must not be there twice")
	case name == "limits":
		r.read.Limits, err = r.policy(v, r.in+".Limits", "")
		return err
	case name == "plan" && v.Kind == jsontext.Text:
		r.read.Plan = r.plan(v.Text)
	case name == "plan":
		r.fault(v.Position, field, kindOf(v), `must be the name of a plan, such as "gold"`)
	case name == "members" && v.Kind == jsontext.List:
		return r.members()
	case name == "members":
		r.fault(v.Position, field, kindOf(v), "must be an array of keys")
	case v.Kind == jsontext.Map:
		return r.tableReader.in.Entries(r.entry(r.in+".Keys", &r.read.Keys))
	default:
		r.fault(v.Position, field, kindOf(v), "must be an object of keys, each with its limits")
	}
	return r.tableReader.in.Skip(v)
}

// members reads the keys of an array that has begun.
func (r *organisationReader) members() error {
	in := r.in + ".Members"
	seen := make(map[string]bool)
	return r.tableReader.in.Items(func(v jsontext.Value) error {
		if v.Kind != jsontext.Text {
			r.fault(v.Position, "TableConfig."+in, kindOf(v), "must be a key: a text")
			return r.tableReader.in.Skip(v)
		}
		if r.usable(v.Position, in, v.Text, seen[v.Text]) {
			key := strings.Clone(v.Text)
			seen[key] = true
			r.read.Members = append(r.read.Members, key)
		}
		return nil
	})
}
