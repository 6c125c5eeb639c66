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

// organisationFields are the fields of an organisation.
var organisationFields = []string{"plan", "limits", "members", "keys"}

const wantOrganisation = "must be a map with plan or limits, and members, keys or both"

// readOrganisations reads the organisations, whose keys share limits.
func (b *builder) readOrganisations(entries []entry) {
	if len(entries) == 0 {
		return
	}
	b.inHomes = make(map[string]bool)
	b.config.Organisations = make(map[string]plans.Organisation, len(entries))
	lines := make(map[string]int32, len(entries))
	for _, e := range entries {
		if e.value.kind == kindRejected {
			continue
		}
		if e.value.kind != kindMap { // by its hash: it may be a key with its plan
			b.add(e.value.at, keyPlace("organisations", e.key), e.value.kind.String(), wantOrganisation)
			continue
		}
		if !homes.ValidName(e.key) {
			b.add(e.at, keyPlace("organisations", e.key), "a name that cannot be used", homes.WantName)
			continue
		}
		place := "organisations." + shown(e.key)
		if line, twice := lines[e.key]; twice {
			b.add(e.at, place, "the organisation a second time", fmt.Sprintf("must be there once: it is on line %d as well", line))
			continue
		}
		name := strings.Clone(e.key)
		lines[name] = e.at.Line
		r := organisationReader{builder: b, place: place}
		r.read(e)
		b.config.Organisations[name] = r.made
	}
}

// An organisationReader makes an organisation of its entry.
type organisationReader struct {
	*builder
	place  string
	policy *ratelimit.Policy // of the members, if known
	made   plans.Organisation
}

func (r *organisationReader) read(e entry) {
	fields := make(map[string]entry, len(organisationFields))
	for _, field := range e.value.inside.entries {
		first, twice := fields[field.key]
		switch {
		case !slices.Contains(organisationFields, field.key):
			r.unknownIn(field)
		case twice:
			r.add(field.at, r.place+"."+field.key, "the field a second time", fmt.Sprintf("must be there once: it is on line %d as well", first.at.Line))
		default:
			fields[field.key] = field
		}
	}
	plan, byPlan := fields["plan"]
	limits, own := fields["limits"]
	switch {
	case byPlan && own:
		r.add(limits.at, r.place, "plan and limits", "must have one of them")
	case byPlan:
		r.readPlan(plan.value)
	case own:
		r.policy = r.builder.policy(limits.value, func() string { return r.place + ".limits" }, false)
		r.made.Limits = r.policy
	default:
		r.add(e.at, r.place, "neither plan nor limits", "must have one of them, such as plan: gold")
	}
	if field, ok := fields["members"]; ok {
		r.readMembers(field.value)
	}
	if field, ok := fields["keys"]; ok {
		r.readKeys(field.value)
	}
}

// unknownIn is unknown for a field of the organisation.
func (r *organisationReader) unknownIn(e entry) {
	if name := spelling.Meant(e.key, organisationFields); name != "" {
		r.add(e.at, r.place+"."+name, fmt.Sprintf("the unknown field %q", e.key), fmt.Sprintf("must be spelt %q", name))
		return
	}
	r.add(e.at, keyPlace(r.place, e.key), "a field that is not known", "must be plan, limits, members or keys; a key belongs under members or keys")
}

func (r *organisationReader) readPlan(n node) {
	plan, known := r.plans[n.text]
	switch {
	case n.kind == kindRejected:
	case n.kind != kindText:
		r.add(n.at, r.place+".plan", n.kind.String(), "must be the name of a plan; limits of the organisation's own belong in limits")
	case !known: // not shown: it may be a key
		r.add(n.at, r.place+".plan", "a plan that is not under plans", r.wantPlan())
	}
	r.made.Plan, r.policy = plan, r.config.Plans[plan]
}

// readMembers reads the list of keys that are held to the plan.
func (r *organisationReader) readMembers(n node) {
	place := r.place + ".members"
	switch n.kind {
	case kindList:
	case kindEmpty, kindRejected:
		return
	default:
		r.add(n.at, place, n.kind.String(), "must be a list of keys; keys with limits of their own belong under keys")
		return
	}
	list := make([]entry, 0, len(n.inside.items))
	for _, item := range n.inside.items {
		switch item.kind {
		case kindRejected:
		case kindText, kindEmpty:
			list = append(list, entry{at: item.at, key: item.text})
		default:
			r.add(item.at, place, item.kind.String(), "must be a key: a text")
		}
	}
	r.made.Members = make([]string, 0, len(list))
	r.list(place, list, func(key string, _ entry) { r.made.Members = append(r.made.Members, key) })
}

// readKeys reads the keys that have limits of their own.
func (r *organisationReader) readKeys(n node) {
	place := r.place + ".keys"
	switch n.kind {
	case kindMap:
	case kindEmpty, kindRejected:
		return
	default:
		r.add(n.at, place, n.kind.String(), "must be a map: keys, each with its limits; or be left out")
		return
	}
	shared := homes.Shared{}
	shared.Differs(r.policy)
	r.made.Keys = make(map[string]*ratelimit.Policy, len(n.inside.entries))
	r.list(place, n.inside.entries, func(key string, e entry) {
		p := r.builder.policy(e.value, func() string { return keyPlace(place, e.key) }, true)
		if found := shared.Differs(p); found != "" {
			r.add(e.value.at, keyPlace(place, e.key), found, homes.WantSame)
		}
		r.made.Keys[key] = p
	})
}

// list calls f with each key of a section that can be used, as the table holds it.
func (r *organisationReader) list(place string, keys []entry, f func(key string, e entry)) {
	r.sections = append(r.sections, section{place, keys})
	for _, e := range keys {
		key, ok := r.key(place, e)
		switch {
		case !ok:
		case r.listed(key):
			r.twice(place, e)
		default:
			r.inHomes[key] = true
			f(key, e)
		}
	}
}
