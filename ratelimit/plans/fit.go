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

// meets returns an error for each policy that does not fit. Its callers hold Table.mu.
func (c *tableContent) meets(required []func(*ratelimit.Policy) error) error {
	if len(required) == 0 {
		return nil
	}
	if c.different == nil {
		c.different = c.policies()
	}
	for _, p := range c.different {
		for _, fits := range required {
			if fits(p) != nil {
				return c.misfits(required)
			}
		}
	}
	return nil
}

// policies returns each policy once. A million keys may share a few, and iterating over the keys
// for each route would take a second.
func (c *tableContent) policies() []*ratelimit.Policy {
	all := []*ratelimit.Policy{c.fallback}
	seen := map[*ratelimit.Policy]bool{c.fallback: true}
	add := func(p *ratelimit.Policy) {
		if !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	for _, p := range c.plans {
		add(p)
	}
	for _, a := range c.byKey {
		add(a.policy)
	}
	for _, a := range c.byHash {
		add(a.policy)
	}
	return all
}

// misfits returns an error for each policy that does not fit, with its place.
func (c *tableContent) misfits(required []func(*ratelimit.Policy) error) error {
	var faults faultList
	look := func(p *ratelimit.Policy, place func() string) {
		for _, fits := range required {
			if err := fits(p); err != nil {
				faults.add(&placedError{LimitError: &ratelimit.LimitError{Field: place(), Value: p.String(), Want: "must go together with the limits that Limiter.With adds for a part", Err: err}})
			}
		}
	}
	look(c.fallback, func() string { return "TableConfig.Default" })
	for name, p := range c.plans {
		look(p, func() string { return planPlace(name) })
	}
	for key, a := range c.byKey {
		if !a.member {
			look(a.policy, func() string { return place("Keys", key) })
		}
	}
	for hash, a := range c.byHash {
		if !a.member {
			look(a.policy, func() string { return place("Keys", keyhash.Text(hash)) })
		}
	}
	return faults.join()
}
