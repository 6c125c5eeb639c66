package plans

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/internal/keyhash"
)

// An Override holds a key or a plan of a table to another policy until an instant. The table of a
// fleet, of package store/redisstore/table, ends it by itself on all nodes.
type Override struct {
	// Key is an API key or its hash, as [ratelimit.HashKey] returns it. Either Key or Plan is set.
	Key string
	// Plan is the name of a plan.
	Plan string
	// Policy is what the key or the plan is held to. Either Policy or Factor is set.
	Policy *ratelimit.Policy
	// Factor multiplies the rate and the burst of each limit, but of none that keys share: 10
	// makes "5/s" "50/s". A policy that is blocked stays so, as does a key in TableConfig.Blocked.
	Factor int
	// Until is when it ends, cut off to a whole millisecond. Its year in UTC is at most 9999.
	Until time.Time
}

// jsonOverride is the form of an [Override] in a document.
type jsonOverride struct {
	Key    string    `json:"key,omitempty"`
	Plan   string    `json:"plan,omitempty"`
	Policy string    `json:"policy,omitempty"`
	Factor int       `json:"factor,omitempty"`
	Until  time.Time `json:"until"`
}

// MarshalJSON writes a hash for the key.
func (o Override) MarshalJSON() ([]byte, error) {
	j := jsonOverride{Plan: o.Plan, Factor: o.Factor, Until: o.Until.UTC().Truncate(time.Millisecond)}
	if o.Key != "" {
		j.Key = hashed(o.Key)
	}
	if o.Policy != nil {
		j.Policy = o.Policy.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (o *Override) UnmarshalJSON(data []byte) error {
	var j jsonOverride
	if err := json.Unmarshal(data, &j); err != nil {
		return err
	}
	read := Override{Key: j.Key, Plan: j.Plan, Factor: j.Factor, Until: j.Until}
	if j.Policy != "" {
		var err error
		if read.Policy, err = ratelimit.ParsePolicy(j.Policy); err != nil {
			return err
		}
	}
	if read.Policy == nil && read.Factor < 1 {
		return errNoOverride
	}
	*o = read
	return nil
}

// hashed returns the hash of a key, which may be one already.
func hashed(key string) string {
	if strings.HasPrefix(key, keyhash.Prefix) {
		return strings.ToLower(key)
	}
	return ratelimit.HashKey(key)
}

// Normal returns o with a hash for its key, or the faults that it has at an instant for a table.
func (o Override) Normal(now time.Time, s Snapshot) (Override, error) {
	var faults []error
	fault := func(field string, value any, want string) {
		faults = append(faults, &ratelimit.LimitError{Field: "Override." + field, Value: value, Want: want})
	}
	if (o.Key == "") == (o.Plan == "") {
		fault("Key", "not one of Key and Plan", "must be set, or Plan, but not both")
	}
	if (o.Policy == nil) == (o.Factor == 0) {
		fault("Policy", "not one of Policy and Factor", "must be set, or Factor, but not both")
	}
	if o.Factor < 0 {
		fault("Factor", o.Factor, "must be at least 1, such as 10")
	}
	if !o.Until.After(now) {
		fault("Until", o.Until.UTC().Format(time.RFC3339), "must be in the future; the clock shows "+now.UTC().Format(time.RFC3339))
	}
	if o.Until.UTC().Year() > 9999 { // RFC 3339 cannot write it
		fault("Until", "after the year 9999 in UTC", "must be in the year 9999 or before")
	}
	if o.Plan != "" && !s.HasPlan(o.Plan) {
		fault("Plan", "unknown", "must be the name of a plan of the table")
	}
	if o.Key != "" {
		o.Key = hashed(o.Key)
	}
	o.Until = o.Until.UTC().Truncate(time.Millisecond)
	return o, errors.Join(faults...)
}

// Subject names what o is about, with a hash for a key.
func (o Override) Subject() string {
	if o.Key != "" {
		return fmt.Sprintf("key %.19s…", hashed(o.Key))
	}
	return "plan " + o.Plan
}

// String describes o, with a hash for a key.
func (o Override) String() string {
	to := fmt.Sprintf("x%d", o.Factor)
	if o.Policy != nil {
		to = o.Policy.String()
	}
	return fmt.Sprintf("override of %s: %s until %s", o.Subject(), to, o.Until.Format(time.RFC3339Nano))
}

// Same reports whether two overrides are about the same key or plan.
func (o Override) Same(p Override) bool {
	return o.Plan == p.Plan && (o.Key == "") == (p.Key == "") && hashed(o.Key) == hashed(p.Key)
}

var errNoOverride = errors.New("plans: an override must have a policy or a factor")

// With returns s with overrides in force, whenever they end. Those of plans come first, so that the
// factor of a key is one of what it has. The keys of s must be hashes. An override of a plan that
// does not exist has no effect.
func (s Snapshot) With(overrides []Override) (Snapshot, error) {
	c := s.Config()
	for _, o := range overrides {
		if p := c.Plans[o.Plan]; o.Plan != "" && p != nil {
			other, err := o.policy(p)
			if err != nil {
				return Snapshot{}, err
			}
			c.Plans[o.Plan] = other
		}
	}
	for _, o := range overrides {
		if o.Key == "" {
			continue
		}
		if err := o.apply(&c); err != nil {
			return Snapshot{}, err
		}
	}
	t, err := NewTable(c)
	if err != nil {
		return Snapshot{}, err
	}
	return t.Snapshot(), nil
}

// apply puts an override of a key into the table.
func (o Override) apply(c *TableConfig) error {
	for name, home := range c.Organisations {
		own, ok := home.Keys[o.Key]
		i := slices.Index(home.Members, o.Key)
		if !ok && i < 0 {
			continue
		}
		if !ok {
			if own = home.Limits; own == nil {
				own = c.Plans[home.Plan]
			}
			home.Members = slices.Delete(slices.Clone(home.Members), i, i+1)
		}
		other, err := o.policy(own)
		if err != nil {
			return err
		}
		keys := maps.Clone(home.Keys)
		if keys == nil {
			keys = make(map[string]*ratelimit.Policy, 1)
		}
		keys[o.Key] = other
		home.Keys = keys
		c.Organisations[name] = home
		return nil
	}
	own, ok := c.Keys[o.Key]
	if !ok {
		own = c.Default
		if plan, ok := c.Members[o.Key]; ok {
			own = c.Plans[plan]
			delete(c.Members, o.Key)
		}
	}
	other, err := o.policy(own)
	if err != nil {
		return err
	}
	if c.Keys == nil {
		c.Keys = make(map[string]*ratelimit.Policy, 1)
	}
	c.Keys[o.Key] = other
	return nil
}

// policy returns what a policy becomes.
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
	for i := range limits {
		l := &limits[i]
		if l.Shared {
			continue
		}
		if l.Rate > maxScaled/o.Factor || l.Burst > maxScaled/o.Factor {
			return nil, &ratelimit.LimitError{Limit: l.Name, Field: "Override.Factor", Value: o.Factor, Want: "must be smaller: times the limit, it is too large"}
		}
		l.Rate *= o.Factor
		if l.Burst *= o.Factor; l.Concurrent {
			l.Burst = 0
		}
	}
	return ratelimit.NewPolicy(limits...)
}

// maxScaled bounds a rate before gcra checks it: an int may have 32 bits.
const maxScaled = 1<<31 - 1
