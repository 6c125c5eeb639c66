package plans

import (
	"fmt"
	"maps"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
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

// wantName is what the name of an organisation must be like: the rule for names of limits.
var wantName = fmt.Sprintf(`must be 1 to %d printable ASCII characters without " \ ; or , and without a space at either end, such as "acme"`, store.MaxName)

// validName reports whether a text can be the name of an organisation.
func validName(name string) bool {
	_, err := store.NewLimit(name, gcra.Rate{})
	return err == nil
}

// organisationIn returns the place of an organisation within TableConfig. It shows a name that
// can be one, and the hash of another, which may be a key.
func organisationIn(name string) string {
	if validName(name) {
		return fmt.Sprintf("Organisations[%q]", name)
	}
	return fmt.Sprintf("Organisations[%.19s…]", ratelimit.HashKey(name))
}

// What is wrong with the limits of an organisation.
const (
	wantEither = "must have either a plan or limits, not both"
	wantSame   = "must be the shared limit that the organisation has under this name, since all its keys share one bucket; or give it another name"
)

// organisationFault returns what is wrong with the name, and with what is given for members;
// or nil.
func organisationFault(name, plan string, limits *ratelimit.Policy) *ratelimit.LimitError {
	fault := func(value, want string) *ratelimit.LimitError {
		return &ratelimit.LimitError{Field: "TableConfig." + organisationIn(name), Value: value, Want: want}
	}
	switch {
	case !validName(name):
		return fault("a name that cannot be used", wantName)
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
	shared := sharedLimits{}
	shared.differs(policy)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		p := keys[key]
		if made[p] == nil {
			if !b.policy(place(in, key), p) {
				continue
			}
			if found := shared.differs(p); found != "" {
				b.fault(place(in, key), found, wantSame)
				continue
			}
			made[p] = &assignment{policy: p.In(is.name), of: is}
		}
		b.put(in, key, made[p])
	}
}

// sharedLimits are the shared limits of one organisation by name.
type sharedLimits map[string]ratelimit.Limit

// differs adds the shared limits of a policy. If one has other numbers than the one that is
// there, it returns both; otherwise "".
func (s sharedLimits) differs(p *ratelimit.Policy) string {
	if p == nil || !hasShared(p) {
		return ""
	}
	for _, l := range p.Limits() {
		if !l.Shared {
			continue
		}
		l.Shadow, l.EnforceFrom = false, 0
		if other, there := s[l.Name]; there && other != l {
			return fmt.Sprintf("%v beside %v", l, other)
		}
		s[l.Name] = l
	}
	return ""
}

// hasShared reports whether a policy has a shared limit.
func hasShared(p *ratelimit.Policy) bool {
	return slices.ContainsFunc(p.Compiled(), func(l store.Limit) bool { return l.Shared })
}
