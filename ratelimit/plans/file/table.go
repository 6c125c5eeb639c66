package file

import (
	"fmt"
	"slices"
	"strings"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/homes"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/spelling"
)

// A builder makes a table of the nodes of a file, and adds all their faults.
type builder struct {
	*faults
	config   plans.TableConfig
	plans    map[string]string // each name by itself, so that members share one text
	policies map[string]*ratelimit.Policy
	hashed   bool            // there are hashed keys
	sharing  map[string]bool // plans with a shared limit
	sections []section       // that list keys
	inHomes  map[string]bool // the keys of organisations
}

// A section is a list of keys in a file.
type section struct {
	place string
	keys  []entry
}

// fieldNames are the fields of a file, in the order in which they are read.
var fieldNames = []string{"default", "plans", "members", "keys", "organisations", "blocked"}

const wantShape = "must be a map with default and, if need be, plans, members, keys, organisations and blocked"

// table reads the whole file.
func (b *builder) table(root node) plans.TableConfig {
	if root.kind == kindRejected {
		return b.config
	}
	if root.kind != kindMap {
		b.add(root.at, "", root.kind.String(), wantShape+", such as default: 5/s")
		return b.config
	}
	b.policies = map[string]*ratelimit.Policy{}
	fields := map[string]entry{}
	for _, e := range root.inside.entries {
		first, twice := fields[e.key]
		switch {
		case !slices.Contains(fieldNames, e.key):
			b.unknown(e)
		case twice:
			b.add(e.at, e.key, "the field a second time", fmt.Sprintf("must be there once: it is on line %d as well", first.at.Line))
		default:
			fields[e.key] = e
		}
	}
	if e, ok := fields["default"]; ok {
		b.config.Default = b.policy(e.value, func() string { return "default" }, false)
		if p := b.config.Default; p != nil && homes.Shares(p) {
			b.add(e.value.at, "default", "a shared limit", "must have none: keys that are not named belong to no organisation to share it with")
		}
	} else {
		b.add(root.at, "default", "no such field", "must hold every key that is not named, such as default: 5/s or default: unlimited")
	}
	b.readPlans(fields["plans"])
	members, keys := b.entries(fields["members"]), b.entries(fields["keys"])
	b.sections = []section{{"members", members}, {"keys", keys}}
	b.readMembers(members)
	b.readKeys(keys)
	b.readOrganisations(b.entries(fields["organisations"]))
	b.findTwins()
	b.readBlocked(b.entries(fields["blocked"]))
	return b.config
}

// unknown adds the fault of an unknown field. It shows the name only if that is a misspelt field
// name: it may be a key that is not indented.
func (b *builder) unknown(e entry) {
	if name := spelling.Meant(e.key, fieldNames); name != "" {
		b.add(e.at, name, fmt.Sprintf("the unknown field %q", e.key), fmt.Sprintf("must be spelt %q", name))
		return
	}
	b.add(e.at, keyPlace("", e.key), "a field that is not known", "must be default, plans, members, keys, organisations or blocked; what belongs to one of these is indented under it, with spaces")
}

// entries returns the entries of a field, which must be a map or empty.
func (b *builder) entries(field entry) []entry {
	switch field.value.kind {
	case kindMap:
		return field.value.inside.entries
	case kindEmpty, kindRejected:
	case kindText:
		if field.key == "" { // it is not there
			return nil
		}
		fallthrough
	default:
		want := map[string]string{"plans": "names of plans, each with its limits", "members": "keys, each with the name of its plan", "keys": "keys, each with its limits", "organisations": "names of organisations, each with its plan and keys", "blocked": "keys, each with its block"}[field.key]
		b.add(field.value.at, field.key, field.value.kind.String(), "must be a map: "+want+"; or be left out")
	}
	return nil
}

// readPlans reads the limits of each plan.
func (b *builder) readPlans(field entry) {
	entries := b.entries(field)
	b.config.Plans = make(map[string]*ratelimit.Policy, len(entries))
	b.plans = make(map[string]string, len(entries))
	b.sharing = make(map[string]bool)
	lines := make(map[string]int32, len(entries))
	names := make(map[string]bool, len(entries))
	for _, e := range entries {
		names[e.key] = true
	}
	for _, e := range entries {
		place := func() string { return "plans." + shown(e.key) }
		if text := e.value.text; e.value.kind == kindText && names[text] && text != "unlimited" && !strings.Contains(text, "/") {
			// A member in the wrong field: its name is a key.
			b.add(e.at, keyPlace("plans", e.key), "the name of a plan", "must be limits, such as 5/s; a key, with the name of its plan, belongs under members")
			continue
		}
		if e.key == "" {
			b.add(e.at, "plans", "an empty name", "must be the name of a plan")
			continue
		}
		if line, twice := lines[e.key]; twice {
			b.add(e.at, place(), "the plan a second time", fmt.Sprintf("must be there once: it is on line %d as well", line))
			continue
		}
		name := strings.Clone(e.key)
		lines[name], b.plans[name] = e.at.Line, name
		p := b.policy(e.value, place, false)
		if b.config.Plans[name] = p; p != nil && homes.Shares(p) {
			b.sharing[name] = true
		}
	}
}

// readMembers reads the plan of each key.
func (b *builder) readMembers(entries []entry) {
	b.config.Members = make(map[string]string, len(entries))
	for _, e := range entries {
		plan, known := b.plans[e.value.text]
		switch {
		case e.value.kind == kindRejected:
		case e.value.kind != kindText:
			b.add(e.value.at, keyPlace("members", e.key), e.value.kind.String(), "must be the name of a plan; limits of the key's own belong under keys")
		case !known: // not shown: key and plan may have been swapped
			b.add(e.value.at, keyPlace("members", e.key), "a plan that is not under plans", b.wantPlan())
		case len(b.sharing) > 0 && b.sharing[plan]:
			b.add(e.value.at, keyPlace("members", e.key), "a plan with a shared limit", "must be a plan without one; or the key must be under organisations, with those that share it")
		}
		key, ok := b.key("members", e)
		if !ok {
			continue
		}
		before := len(b.config.Members)
		b.config.Members[key] = plan
		if len(b.config.Members) == before { // one look-up less than checking first
			b.twice("members", e)
		}
	}
}

func (b *builder) wantPlan() string {
	if len(b.plans) == 0 {
		return "must be the name of a plan, and there are none: add the field plans"
	}
	var names []string
	for name := range b.plans {
		names = append(names, shown(name))
	}
	slices.Sort(names)
	more := ""
	if len(names) > 10 {
		names, more = names[:10], ", …"
	}
	return "must be one of " + strings.Join(names, ", ") + more
}

// readKeys reads the limits of each key that has its own.
func (b *builder) readKeys(entries []entry) {
	b.config.Keys = make(map[string]*ratelimit.Policy, len(entries))
	for _, e := range entries {
		p := b.policy(e.value, func() string { return keyPlace("keys", e.key) }, true)
		if p != nil && homes.Shares(p) {
			b.add(e.value.at, keyPlace("keys", e.key), "a shared limit", "must not be shared; or the key must be under organisations, with those that share it")
		}
		key, ok := b.key("keys", e)
		if !ok {
			continue
		}
		_, twice := b.config.Keys[key]
		_, member := b.config.Members[key]
		if twice || member {
			b.twice("keys", e)
			continue
		}
		b.config.Keys[key] = p
	}
}

// shown quotes a text of the file, cut short.
func shown(s string) string {
	const most = 60
	if r := []rune(s[:min(len(s), 4*most)]); len(r) > most {
		s = string(r[:most]) + "…"
	}
	if plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"); plain == "" && s != "" {
		return s
	}
	return fmt.Sprintf("%q", s)
}
