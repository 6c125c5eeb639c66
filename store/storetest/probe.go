package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A failure is the panic with which a probe ends a clause that has failed.
type failure struct{ error }

// A probe is a running clause: a store, and the control of its clock. If the store returns
// an error, the methods of the probe end the clause.
type probe struct {
	t       *testing.T
	ctx     context.Context //nolint:containedctx // the probe ends before the test does
	harness Harness
	store   store.Store
}

// fail ends the clause.
func (p *probe) fail(format string, args ...any) {
	panic(failure{fmt.Errorf(format, args...)})
}

// advance moves the clock forward.
func (p *probe) advance(d time.Duration) {
	if d > 0 {
		p.harness.Advance(p.t, d)
	}
}

// answerTime is the Timeout of all requests: more than enough for a correct store, also on
// a busy machine.
const answerTime = 10 * time.Second

// take asks the store for a decision.
func (p *probe) take(key string, policy []store.Limit, cost int) store.Decision {
	return p.request(store.Request{Key: key, Limits: policy, Cost: cost})
}

// knowing is take with knowledge of the first limit's bucket.
func (p *probe) knowing(key string, policy []store.Limit, cost int, known store.Known) store.Decision {
	return p.request(store.Request{Key: key, Limits: policy, Cost: cost, Known: &store.Knowledge{known}})
}

func (p *probe) request(r store.Request) store.Decision {
	d, err := p.try(p.ctx, r)
	if err != nil {
		p.fail("Take returned an error: %v", err)
	}
	if d.Now <= 0 {
		p.fail("Decision.Now is %d; the clock of a store must start at 1, because 0 marks an observation without a date", d.Now)
	}
	return d
}

// try is request, but returns the error.
func (p *probe) try(ctx context.Context, r store.Request) (store.Decision, error) {
	r.Timeout = answerTime
	d, err := p.store.Take(ctx, r)
	if err == nil && d.Overflow {
		err = errors.New("the answer is marked Overflow; the suite needs room for a few thousand buckets")
	}
	return d, err
}

// admit takes and fails unless the call is admitted.
func (p *probe) admit(key string, policy []store.Limit, cost int) store.Decision {
	d := p.take(key, policy, cost)
	if !d.Allowed {
		p.fail("a call of cost %d was denied with the debts %v; it must be admitted", cost, debts(policy, d))
	}
	return d
}

// deny takes and fails unless the call is denied.
func (p *probe) deny(key string, policy []store.Limit, cost int) store.Decision {
	d := p.take(key, policy, cost)
	if d.Allowed {
		p.fail("a call of cost %d was admitted, with the debts %v; it must be denied", cost, debts(policy, d))
	}
	return d
}

// state makes a call of cost 0 and fails unless the debts are as wanted.
func (p *probe) state(when, key string, policy []store.Limit, want ...gcra.Debt) {
	p.debts(when, policy, p.take(key, policy, 0), want...)
}

// debts fails unless the debts of d are as wanted.
func (p *probe) debts(when string, policy []store.Limit, d store.Decision, want ...gcra.Debt) {
	for i, w := range want {
		if d.Debts[i] != w {
			p.fail("%s, the debt of limit %s is %s; want %s", when,
				policy[i], text(&policy[i], d.Debts[i]), text(&policy[i], w))
		}
	}
}

// reset fills the key's buckets.
func (p *probe) reset(key string, policy []store.Limit) {
	if err := p.store.Reset(p.ctx, store.Request{Key: key, Limits: policy}); err != nil {
		p.fail("Reset returned an error: %v", err)
	}
}

// policy compiles valid limits.
func policy(limits ...ratelimit.Limit) []store.Limit {
	p, err := ratelimit.NewPolicy(limits...)
	if err != nil {
		panic(err) // a limit of this package is wrong
	}
	return p.Compiled()
}

// micros returns a debt of n microseconds.
func micros(n int64) gcra.Debt { return gcra.Debt{Micros: n} }

// of returns a debt of n microseconds and frac parts of one.
func of(n int64, frac uint32) gcra.Debt { return gcra.Debt{Micros: n, Frac: frac} }

// debts returns the debts of a decision as text.
func debts(policy []store.Limit, d store.Decision) []string {
	all := make([]string, len(policy))
	for i := range all {
		all[i] = text(&policy[i], d.Debts[i])
	}
	return all
}

// text returns a debt as text such as "333333 1/3 µs".
func text(b *store.Limit, d gcra.Debt) string {
	if d.Frac == 0 {
		return fmt.Sprintf("%d µs", d.Micros)
	}
	return fmt.Sprintf("%d %d/%d µs", d.Micros, d.Frac, b.Denominator())
}
