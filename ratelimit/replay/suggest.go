package replay

import (
	"fmt"
	"maps"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans"
)

// A Promise is what a suggested limit does to the keys of a plan in the log.
type Promise struct {
	Plan   string // "" for the default
	Limit  ratelimit.Limit
	Keys   int
	Denied int // of Keys: those with at least one request that is denied
}

// suggestedName is the name of a suggested limit beside others.
const suggestedName = "suggested"

// Suggest returns a table with the smallest limit per period, for each plan, that denies nothing to
// at least perMille of 1000 keys in the log, and what each limit does. The burst of a limit is its
// rate. All are shadow limits: they are watched and deny nothing until you change that.
//
// If Config.Table is set, the result is that table with a limit named "suggested" beside those that
// a plan and the default have. A plan that is unlimited stays so, and so does a key with limits of
// its own. Otherwise the members of plans are hashes of keys: see [ratelimit.HashKey].
//
// If the log has no key without a plan, the default of the table stays or, without one, is what all
// keys together need. Suggest returns an error if no limit is large enough, if there is no place for one more, or for what [Log.Rates]
// rejects. It panics if perMille is not from 1 to 1000.
func (l *Log) Suggest(period time.Duration, perMille int) (plans.TableConfig, []Promise, error) {
	demands, err := l.Rates(period)
	if err != nil {
		return plans.TableConfig{}, nil, err
	}
	if l.config.Table == nil && demands[0].Plan != "" {
		demands = append([]Demand{all(demands)}, demands...)
	}
	c := l.config.tableConfig()
	c.Plans = maps.Clone(c.Plans)
	var promises []Promise
	for _, d := range demands {
		given := c.Default
		if d.Plan != "" {
			if given = c.Plans[d.Plan]; given == ratelimit.Unlimited {
				continue
			}
		}
		rate, ok := d.Smallest(perMille)
		if !ok {
			return plans.TableConfig{}, nil, fmt.Errorf("replay: plan %q: %d of 1000 keys need more than the %d per %v that a limit can have", d.Plan, perMille, d.most, period)
		}
		limit, policy, err := watched(given, ratelimit.Limit{Rate: rate, Period: period})
		if err != nil {
			return plans.TableConfig{}, nil, fmt.Errorf("replay: plan %q: %w", d.Plan, err)
		}
		promises = append(promises, Promise{d.Plan, limit, d.Keys(), d.Denied(rate)})
		if d.Plan == "" {
			c.Default = policy
			continue
		}
		if c.Plans == nil {
			c.Plans = map[string]*ratelimit.Policy{}
		}
		c.Plans[d.Plan] = policy
	}
	if l.config.Table == nil {
		c.Members = l.members()
	}
	if _, err := plans.NewTable(c); err != nil {
		return plans.TableConfig{}, nil, fmt.Errorf("replay: %w", err)
	}
	return c, promises, nil
}

// watched returns a limit as a shadow limit beside those of a policy, if there are any.
func watched(beside *ratelimit.Policy, limit ratelimit.Limit) (ratelimit.Limit, *ratelimit.Policy, error) {
	limit = limit.Shadowed()
	var limits []ratelimit.Limit
	if beside != nil && beside != ratelimit.Unlimited {
		limit = limit.Named(suggestedName)
		for _, given := range beside.Limits() {
			if given.Name != suggestedName {
				limits = append(limits, given)
			}
		}
	}
	policy, err := ratelimit.NewPolicy(append(limits, limit)...)
	return limit, policy, err
}

// members returns the plan of each key that has one.
func (l *Log) members() map[string]string {
	members := map[string]string{}
	for key, name := range l.names {
		if plan := l.planName(key); plan != "" {
			members[hashOf(name)] = plan
		}
	}
	return members
}
