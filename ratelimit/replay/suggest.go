package replay

import (
	"fmt"
	"maps"
	"slices"
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
// a plan and the default have. A plan that is unlimited stays so, and so do keys with limits of
// their own. Otherwise the members of plans are hashes of keys: see [ratelimit.HashKey].
//
// If the log has no key without a plan, the default of the table stays or, without one, is what all
// keys together need. Suggest returns an error if no limit is large enough, if there is no place for
// one more, or for what [Log.Rates] rejects. It panics if perMille is not from 1 to 1000.
func (l *Log) Suggest(period time.Duration, perMille int) (plans.TableConfig, []Promise, error) {
	fail := func(err error) (plans.TableConfig, []Promise, error) {
		return plans.TableConfig{}, nil, fmt.Errorf("replay: %w", err)
	}
	demands, err := l.Rates(period)
	if err != nil {
		return plans.TableConfig{}, nil, err
	}
	c := l.config.tableConfig()
	c.Plans = maps.Clone(c.Plans)
	if c.Plans == nil {
		c.Plans = map[string]*ratelimit.Policy{}
	}
	if l.config.Table == nil {
		c.Members = l.members()
		if demands[0].Plan != "" {
			demands = append([]Demand{all(demands)}, demands...)
		}
	}
	var promises []Promise
	for _, d := range demands {
		beside, ok := limitsOf(c, d.Plan)
		if !ok {
			continue
		}
		rate, ok := d.Smallest(perMille)
		if !ok {
			return fail(fmt.Errorf("plan %q: %d of 1000 keys need more than the %d per %v that a limit can have", d.Plan, perMille, d.most, period))
		}
		limit, policy, err := watched(beside, ratelimit.Limit{Rate: rate, Period: period})
		if err != nil {
			return fail(fmt.Errorf("plan %q: %w", d.Plan, err))
		}
		promises = append(promises, Promise{d.Plan, limit, d.Keys(), d.Denied(rate)})
		if d.Plan == "" {
			c.Default = policy
		} else {
			c.Plans[d.Plan] = policy
		}
	}
	if _, err := plans.NewTable(c); err != nil {
		return fail(err)
	}
	return c, promises, nil
}

// limitsOf returns the limits of a plan, or of the default. ok is false if it must stay what it is:
// unlimited, or more than limits.
func limitsOf(c plans.TableConfig, plan string) (limits []ratelimit.Limit, ok bool) {
	given := c.Default
	if plan != "" {
		given = c.Plans[plan]
	}
	if given == nil || plan == "" && given == ratelimit.Unlimited {
		return nil, true
	}
	return given.Limits(), plain(given)
}

// watched returns a limit as a shadow limit, and the policy of it beside others.
func watched(beside []ratelimit.Limit, limit ratelimit.Limit) (ratelimit.Limit, *ratelimit.Policy, error) {
	limit = limit.Shadowed()
	if len(beside) > 0 {
		limit = limit.Named(suggestedName)
		beside = slices.DeleteFunc(beside, func(l ratelimit.Limit) bool { return l.Name == suggestedName })
	}
	policy, err := ratelimit.NewPolicy(append(beside, limit)...)
	return limit, policy, err
}

// members returns the plan of each key that has one.
func (l *Log) members() map[string]string {
	members := map[string]string{}
	for key := range l.keys.len() {
		if plan := l.planName(key); plan != "" {
			members[hashOf(l.key(key))] = plan
		}
	}
	return members
}
