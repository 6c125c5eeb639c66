package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

// A failure is what a probe panics with: it ends a clause that has failed.
type failure struct{ error }

// A probe is a clause under way: a store, and a hand on its clock. All of its
// methods end the clause if the store returns an error.
type probe struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // of the test, which the probe does not outlive
	harness Harness
	store   ratelimit.Store
}

// fail ends the clause.
func (p *probe) fail(format string, args ...any) {
	panic(failure{fmt.Errorf(format, args...)})
}

// advance lets time pass.
func (p *probe) advance(d time.Duration) {
	if d > 0 {
		p.harness.Advance(p.t, d)
	}
}

// answerTime is the Timeout of all requests: for every sound store more than enough,
// on a busy machine too.
const answerTime = 10 * time.Second

// take asks the store for one decision.
func (p *probe) take(key string, policy *ratelimit.Policy, cost int) ratelimit.Decision {
	return p.request(ratelimit.Request{Key: key, Policy: policy, Cost: cost})
}

// knowing is take, for a caller who knows something of the first limit's bucket.
func (p *probe) knowing(key string, policy *ratelimit.Policy, cost int, known ratelimit.Known) ratelimit.Decision {
	return p.request(ratelimit.Request{Key: key, Policy: policy, Cost: cost, Known: &ratelimit.Knowledge{known}})
}

func (p *probe) request(r ratelimit.Request) ratelimit.Decision {
	d, err := p.try(p.ctx, r)
	if err != nil {
		p.fail("Take returned an error: %v", err)
	}
	return d
}

// try is request, for callers that look at the error themselves.
func (p *probe) try(ctx context.Context, r ratelimit.Request) (ratelimit.Decision, error) {
	r.Timeout = answerTime
	d, err := p.store.Take(ctx, r)
	if err == nil && d.Overflow {
		err = errors.New("the answer is marked Overflow; the suite needs room for a few thousand buckets")
	}
	return d, err
}

// admit takes and fails unless the call is admitted.
func (p *probe) admit(key string, policy *ratelimit.Policy, cost int) ratelimit.Decision {
	d := p.take(key, policy, cost)
	if !d.Allowed {
		p.fail("a call of cost %d was denied with the debts %v; it must be admitted", cost, debts(policy, d))
	}
	return d
}

// deny takes and fails unless the call is denied.
func (p *probe) deny(key string, policy *ratelimit.Policy, cost int) ratelimit.Decision {
	d := p.take(key, policy, cost)
	if d.Allowed {
		p.fail("a call of cost %d was admitted, which made the debts %v; it must be denied", cost, debts(policy, d))
	}
	return d
}

// state takes nothing and fails unless the debts are as wanted.
func (p *probe) state(when, key string, policy *ratelimit.Policy, want ...ratelimit.Debt) {
	p.debts(when, policy, p.take(key, policy, 0), want...)
}

// debts fails unless the debts of d are as wanted.
func (p *probe) debts(when string, policy *ratelimit.Policy, d ratelimit.Decision, want ...ratelimit.Debt) {
	for i, w := range want {
		if d.Debts[i] != w {
			p.fail("%s, the debt of limit %s is %s; want %s", when,
				policy.Bucket(i).Limit(), text(policy.Bucket(i), d.Debts[i]), text(policy.Bucket(i), w))
		}
	}
}

// reset fills the key's buckets.
func (p *probe) reset(key string, policy *ratelimit.Policy) {
	if err := p.store.Reset(p.ctx, key, policy); err != nil {
		p.fail("Reset returned an error: %v", err)
	}
}

// policy compiles limits that are known to be sound.
func policy(limits ...ratelimit.Limit) *ratelimit.Policy {
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		panic(err) // a limit of this package is wrong
	}
	return p
}

// micros is a debt of n whole microseconds.
func micros(n int64) ratelimit.Debt { return ratelimit.Debt{Micros: n} }

// of is a debt of n whole microseconds and frac parts of one.
func of(n int64, frac uint32) ratelimit.Debt { return ratelimit.Debt{Micros: n, Frac: frac} }

// debts writes the debts of a decision as text.
func debts(policy *ratelimit.Policy, d ratelimit.Decision) []string {
	all := make([]string, policy.Len())
	for i := range all {
		all[i] = text(policy.Bucket(i), d.Debts[i])
	}
	return all
}

// text writes a debt as "333333 1/3 µs".
func text(b *ratelimit.Bucket, d ratelimit.Debt) string {
	if d.Frac == 0 {
		return fmt.Sprintf("%d µs", d.Micros)
	}
	return fmt.Sprintf("%d %d/%d µs", d.Micros, d.Frac, b.Denominator())
}
