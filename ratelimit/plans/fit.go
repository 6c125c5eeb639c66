package plans

import (
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
)

// Require returns an error if fits returns one for a policy of the table. Otherwise the table
// rejects from now on every replacement with a policy for which fits returns an error.
func (t *Table) Require(fits func(*ratelimit.Policy) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.current.Load(); c != nil {
		if err := c.meets([]func(*ratelimit.Policy) error{fits}); err != nil {
			return err
		}
	}
	t.required = append(t.required, fits)
	return nil
}

// meets returns an error for each policy that does not fit.
func (c *tableContent) meets(required []func(*ratelimit.Policy) error) error {
	if len(required) == 0 {
		return nil
	}
	c.gathered.Do(func() { c.different = c.policies() })
	for _, p := range c.different {
		for _, fits := range required {
			if fits(p) != nil {
				return c.misfits(required)
			}
		}
	}
	return nil
}

// policies returns each policy once, of those that differ only in the home one. A million keys
// may share a few, and iterating over the keys for each route would take a second.
func (c *tableContent) policies() []*ratelimit.Policy {
	all := []*ratelimit.Policy{c.fallback}
	seen := map[*ratelimit.Policy]bool{c.fallback: true}
	add := func(p *ratelimit.Policy) {
		if !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	var inHomes []*ratelimit.Policy
	addKey := func(a *assignment) {
		switch {
		case a.of == nil:
			add(a.policy)
		case a != a.of.members && !seen[a.policy]:
			seen[a.policy] = true
			inHomes = append(inHomes, a.policy)
		}
	}
	for _, a := range c.byKey {
		addKey(a)
	}
	for _, a := range c.byHash {
		addKey(a)
	}
	for _, a := range c.byPrefix.All() {
		addKey(a)
	}
	for _, is := range c.organisations {
		inHomes = append(inHomes, is.members.policy)
	}
	for _, p := range c.plans {
		inHomes = append(inHomes, inHome(p))
	}
	for _, p := range inHomes {
		if alone := p.In(""); !seen[alone] { // what fits without a home fits in one
			seen[alone] = true
			all = append(all, p)
		}
	}
	return all
}

// inHome returns the policy of a plan as an organisation has it, be there one or not.
func inHome(plan *ratelimit.Policy) *ratelimit.Policy { return plan.In("organisation") }

// wantFit says what a policy must be like for which a limiter has returned err.
func wantFit(err error) string {
	for _, fault := range ratelimit.Faults(err) {
		if fault.Field == "store" {
			return "must need no more than the limiter's store can do"
		}
	}
	return "must go together with the limits that Limiter.With adds for a part"
}

// misfits returns an error for each policy that does not fit, with its place.
func (c *tableContent) misfits(required []func(*ratelimit.Policy) error) error {
	var faults faultList
	look := func(p *ratelimit.Policy, place func() string) {
		for _, fits := range required {
			if err := fits(p); err != nil {
				faults.add(&placedError{LimitError: &ratelimit.LimitError{Field: place(), Value: p.String(), Want: wantFit(err), Err: err}})
			}
		}
	}
	look(c.fallback, func() string { return "TableConfig.Default" })
	fit := make(map[string]bool, len(c.plans)) // in a home; then a member without one may not
	for name, p := range c.plans {
		before := len(faults.kept) + faults.more
		look(inHome(p), func() string { return planPlace(name) })
		fit[name] = len(faults.kept)+faults.more == before
	}
	for name, is := range c.organisations {
		if is.limits != nil {
			look(is.members.policy, func() string { return "TableConfig." + organisationIn(name) + ".Limits" })
		}
	}
	lookKey := func(a *assignment, key func() string) {
		switch {
		case a.of == nil && a.member:
			if fit[a.plan] {
				look(a.policy, func() string { return place("Members", key()) })
			}
		case a.of == nil:
			look(a.policy, func() string { return place("Keys", key()) })
		case a != a.of.members:
			look(a.policy, func() string { return place(organisationIn(a.of.name)+".Keys", key()) })
		}
	}
	for key, a := range c.byKey {
		lookKey(a, func() string { return key })
	}
	for hash, a := range c.byHash {
		lookKey(a, func() string { return keyhash.Text(hash) })
	}
	for p, a := range c.byPrefix.All() {
		lookKey(a, func() string { return p.String() })
	}
	return faults.join()
}
