package plans

import (
	"fmt"
	"maps"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/homes"
)

// An Organisation is a group of keys. They share the buckets of limits that are Shared, and
// each has its own of the others. Its name is the home of the keys: see
// [ratelimit.Policy.In].
type Organisation struct {
	// Plan is the name of the plan that Members are held to. It must be "" if Limits is set.
	Plan string
	// Limits, if not nil, is the policy that Members are held to, in place of a plan.
	Limits *ratelimit.Policy
	// Members are the keys that are held to the plan or to Limits.
	Members []string
	// Keys are the keys that have a policy of their own. A shared limit in it must be one that
	// the organisation has, if that has one of the name. A policy without the shared limits of
	// the organisation exempts its key from these.
	Keys map[string]*ratelimit.Policy
}

// An organisation is one of a table.
type organisation struct {
	name    string
	plan    string
	limits  *ratelimit.Policy // in place of a plan
	members *assignment       // of the members
}

// add enters a key with its assignment.
func (o *Organisation) add(key string, a *assignment) {
	if a.isMember() {
		o.Members = append(o.Members, key)
		return
	}
	if o.Keys == nil {
		o.Keys = make(map[string]*ratelimit.Policy)
	}
	o.Keys[key] = a.given()
}

// organisationIn returns the place of an organisation within TableConfig. It shows a name that
// can be one, and the hash of another, which may be a key.
func organisationIn(name string) string {
	if homes.ValidName(name) {
		return fmt.Sprintf("Organisations[%q]", name)
	}
	return fmt.Sprintf("Organisations[%.19s…]", ratelimit.HashKey(name))
}

const wantEither = "must have either a plan or limits, not both"

// organisationFault returns what is wrong with the name, and with what is given for members;
// or nil.
func organisationFault(name, plan string, limits *ratelimit.Policy) *ratelimit.LimitError {
	fault := func(value, want string) *ratelimit.LimitError {
		return &ratelimit.LimitError{Field: "TableConfig." + organisationIn(name), Value: value, Want: want}
	}
	switch {
	case !homes.ValidName(name):
		return fault("a name that cannot be used", homes.WantName)
	case limits != nil && plan != "":
		return fault("plan and limits", wantEither)
	}
	return nil
}

// organisation enters the keys of an organisation.
func (b *tableBuilder) organisation(name string, o Organisation, plans map[string]*assignment, byName map[string]*ratelimit.Policy) {
	in := organisationIn(name)
	if fault := organisationFault(name, o.Plan, o.Limits); fault != nil {
		b.add(&placedError{LimitError: fault})
	}
	policy := o.Limits
	switch {
	case policy != nil:
		b.policy("TableConfig."+in+".Limits", policy)
	case plans[o.Plan] == nil:
		b.fault("TableConfig."+in+".Plan", nil, wantPlan(byName))
	default:
		policy = plans[o.Plan].policy
	}
	is := &organisation{name: name, plan: o.Plan, limits: o.Limits}
	is.members = &assignment{policy: policy.In(name), plan: o.Plan, member: o.Limits == nil, of: is}
	b.content.organisations[name] = is
	members := in + ".Members"
	for _, key := range o.Members {
		b.put(members, key, is.members)
	}
	if len(o.Keys) > 0 {
		b.ownKeys(in+".Keys", is, policy, o.Keys)
	}
}

// ownKeys enters the keys of an organisation that have policies of their own.
func (b *tableBuilder) ownKeys(in string, is *organisation, policy *ratelimit.Policy, keys map[string]*ratelimit.Policy) {
	made := make(map[*ratelimit.Policy]*assignment, 1)
	shared := homes.Shared{}
	shared.Differs(policy)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		p := keys[key]
		if made[p] == nil {
			if !b.policy(place(in, key), p) {
				continue
			}
			if found := shared.Differs(p); found != "" {
				b.fault(place(in, key), found, homes.WantSame)
				continue
			}
			made[p] = &assignment{policy: p.In(is.name), of: is}
		}
		b.put(in, key, made[p])
	}
}
