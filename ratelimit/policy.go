package ratelimit

import (
	"context"
	"errors"
	"fmt"
)

// MaxLimits is how many limits one key can be held to together.
const MaxLimits = 4

// A Policy is what a key is held to: one to four limits that are decided
// together. Either all of them admit a call, or none of them is charged.
//
// A Policy is validated and compiled once, by [NewPolicy], and never changes:
// share it between keys, limiters and goroutines. The zero Policy is not valid.
type Policy struct {
	buckets []Bucket
	phases  *phases   // how it is decided, if it has shadow limits
	beside  []*Policy // of a phase's policy: the limits to be watched, one each
}

// Unlimited exempts a key: every call is admitted and no store is asked.
var Unlimited = &Policy{}

// NewPolicy compiles one to four limits whose names differ. The error joins a
// [LimitError] for each fault.
func NewPolicy(limits ...Limit) (*Policy, error) {
	var faults []error
	if len(limits) == 0 || len(limits) > MaxLimits {
		faults = append(faults, wrongCount(len(limits)))
	}
	seen := make(map[string]bool, len(limits))
	for _, l := range limits {
		if err := l.Validate(); err != nil {
			faults = append(faults, err)
		}
		name := l.withDefaults().Name
		if seen[name] {
			faults = append(faults, sameName(name, "the other limits of the policy"))
		}
		seen[name] = true
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	p := &Policy{buckets: make([]Bucket, len(limits))}
	for i, l := range limits {
		p.buckets[i] = newBucket(l)
		if l.Shadow {
			p.phases = &phases{all: p}
		}
	}
	return p, nil
}

func sameName(name, others string) *LimitError {
	return &LimitError{Limit: name, Field: "Name", Value: name,
		Want: "must differ from " + others + `, as in ratelimit.PerDay(1000).Named("daily")`}
}

// Len returns how many limits p has; [Unlimited] has none.
func (p *Policy) Len() int { return len(p.buckets) }

// Bucket returns the i-th limit, compiled.
func (p *Policy) Bucket(i int) *Bucket { return &p.buckets[i] }

// Limits returns the limits of p with their defaults filled in.
func (p *Policy) Limits() []Limit {
	limits := make([]Limit, len(p.buckets))
	for i := range p.buckets {
		limits[i] = p.buckets[i].limit
	}
	return limits
}

// PolicyFor makes a Policy usable as [Limits]: it holds every key.
func (p *Policy) PolicyFor(context.Context, string) (*Policy, error) { return p, nil }

// Permits tells whether d can be the answer to a call of cost n: its debts are ones
// that the limits of p can have, and the arithmetic is for no others; what was
// admitted was charged to each limit, and what was refused had no room in one. It is
// for those who stand in front of a store that was written elsewhere.
func (p *Policy) Permits(d *Decision, n int) bool {
	refusals := 0
	for i := range p.buckets {
		b := &p.buckets[i]
		debt := d.Debts[i]
		if debt.Micros < 0 || debt.Frac >= b.den || !b.Fits(debt) {
			return false
		}
		cost, ok := b.Cost(n)
		if d.Allowed && (!ok || debt.Less(cost)) {
			return false
		}
		if !ok || !b.Fits(b.Add(debt, cost)) {
			refusals++
		}
	}
	return d.Allowed || refusals > 0
}

// fits tells whether every limit has room for n tokens beside the debts of d.
func (p *Policy) fits(d *Decision, n int) bool {
	for i := range p.buckets {
		if p.buckets[i].RetryAfter(d.Debts[i], n) > 0 {
			return false
		}
	}
	return true
}

func wrongCount(n int) *LimitError {
	return &LimitError{Field: "limits", Value: fmt.Sprintf("%d of them", n),
		Want: fmt.Sprintf("must be 1 to %d; to exempt a key, use ratelimit.Unlimited", MaxLimits)}
}

// checkPolicy refuses what no decision can be made with.
func checkPolicy(p *Policy) *LimitError {
	if p == nil {
		return &LimitError{Field: "Policy", Value: "nil", Want: "must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited"}
	}
	if len(p.buckets) == 0 && p != Unlimited {
		return &LimitError{Field: "Policy", Value: "zero value", Want: "must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited"}
	}
	return nil
}
