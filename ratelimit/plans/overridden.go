package plans

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/address"
)

// With returns s, with hashes for its keys, with overrides in force, whenever they end. Those of
// plans come first, then those of prefixes, the shortest first, so that the factor of a key is one
// of what it has. faults has a place for each override, with what keeps it from being in force as it
// is written, or nil: an edit of the table may have made the factor too large, which is lowered then,
// or shared limits that the policy contradicts, which has no effect then. An override of a plan that
// does not exist has none, either.
func (s Snapshot) With(overrides []Override) (with Snapshot, faults []error) {
	faults = make([]error, len(overrides))
	c := s.Hashed().withPlans(overrides, faults)
	for _, i := range keyed(overrides) {
		faults[i] = c.override(overrides[i])
	}
	t := new(Table)
	t.current.Store(c)
	return Snapshot{t, c}, faults
}

// withPlans returns a content of its own, with the overrides of plans in force.
func (s Snapshot) withPlans(overrides []Override, faults []error) *tableContent {
	config := s.Config()
	original := config.Plans
	with := func(these []int) (*tableContent, error) {
		config.Plans = maps.Clone(original)
		for _, i := range these {
			o := overrides[i]
			config.Plans[o.Plan], faults[i] = o.policy(original[o.Plan])
		}
		c, err := compileTable(config)
		if err != nil {
			return nil, err
		}
		return c, c.setBlocks()
	}
	var all []int
	for i, o := range overrides {
		if original[o.Plan] != nil && o.Plan != "" {
			all = append(all, i)
		}
	}
	c, err := with(all)
	if err == nil {
		return c
	}
	var fit []int
	for _, i := range all { // without those that do not fit
		if _, err := with(append(fit, i)); err != nil {
			faults[i] = err
			continue
		}
		fit = append(fit, i)
	}
	c, _ = with(fit)
	return c
}

// keyed returns which overrides are of prefixes, the shortest first, and of keys.
func keyed(overrides []Override) (all []int) {
	bits := func(i int) int {
		if p, ok := address.ParsePrefix(hashed(overrides[i].Key)); ok {
			return p.Bits()
		}
		return math.MaxInt
	}
	for i, o := range overrides {
		if o.Key != "" {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(i, j int) int { return cmp.Compare(bits(i), bits(j)) })
	return all
}

// override puts an override of a key in force, after those that come before it. The error is what
// keeps it from being in force as it is written.
func (c *tableContent) override(o Override) error {
	key := hashed(o.Key)
	listed := c.assigned(key)
	own := c.overridable(o, key)
	given := c.fallback
	if own != nil {
		given = own.given()
	}
	policy, tooLarge := o.policy(given)
	c.assign(key, nil)
	b := tableBuilder{content: c}
	if own != nil && own.of != nil {
		b.ownKeys(organisationIn(own.home())+".Keys", own.of, own.of.members.given(), map[string]*ratelimit.Policy{key: policy})
	} else {
		b.ownKey(key, policy)
	}
	err := b.join()
	if err == nil {
		err = c.setBlocksOf(key)
	}
	if err != nil {
		c.assign(key, listed)
		_ = c.setBlocksOf(key) // as they were
		return err
	}
	return tooLarge
}

// overridable returns what the key of an override is held to without it; nil for the default.
func (c *tableContent) overridable(o Override, key string) *assignment {
	if p, ok := address.ParsePrefix(key); ok {
		return c.outside(p)
	}
	if a := c.assigned(key); a != nil {
		return a
	}
	if p, ok := address.ParsePrefix(o.within); ok {
		return c.around(p)
	}
	return nil
}

// assigned returns the assignment of exactly a prefix or a hash, or nil.
func (c *tableContent) assigned(key string) *assignment {
	if p, ok := address.ParsePrefix(key); ok {
		a, _ := c.byPrefix.Get(p)
		return a
	}
	hash, _ := parseHash(key)
	return c.byHash[hash]
}

// assign replaces what assigned returns.
func (c *tableContent) assign(key string, a *assignment) {
	if p, ok := address.ParsePrefix(key); ok {
		if c.byPrefix.Delete(p); a != nil {
			c.byPrefix.Set(p, a)
		}
		return
	}
	hash, _ := parseHash(key)
	if delete(c.byHash, hash); a != nil {
		c.byHash[hash] = a
	}
}

// policy returns what a policy becomes. If the factor is too large for a limit, it returns an error
// beside the policy, in which the limit has the largest factor that it can have.
func (o Override) policy(p *ratelimit.Policy) (*ratelimit.Policy, error) {
	if o.Policy != nil {
		return o.Policy, nil
	}
	if _, ok := p.Block(); ok {
		return p, nil // a factor lifts no block
	}
	limits := p.Limits()
	if len(limits) == 0 {
		return p, nil // unlimited
	}
	var tooLarge error
	for i := range limits {
		l := &limits[i]
		if l.Shared {
			continue
		}
		factor := min(int64(o.Factor), min(gcra.MaxRate, math.MaxInt)/int64(l.Rate), min(gcra.MaxBurst, math.MaxInt)/int64(l.Burst))
		if factor < int64(o.Factor) {
			tooLarge = &ratelimit.LimitError{Limit: l.Name, Field: "Override.Factor", Value: o.Factor, Want: fmt.Sprintf("must be at most %d: times the limit, it is too large", factor)}
		}
		l.Rate *= int(factor)
		if l.Burst *= int(factor); l.Concurrent {
			l.Burst = 0
		}
	}
	scaled, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		return p, err
	}
	return scaled, tooLarge
}
