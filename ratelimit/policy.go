package ratelimit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/keyrate/keyrate/ratelimit/internal/count"
	"github.com/keyrate/keyrate/store"
)

// A Policy is what a key is held to: one to four limits that are decided together.
// Either all of them admit a call, or none of them is charged.
//
// A Policy is validated and compiled once, by [NewPolicy], and never changes: share it
// between keys, limiters and goroutines. The zero Policy is not valid.
type Policy struct {
	limits  []store.Limit
	written []Limit   // the same limits, defaults filled in
	home    string    // of the keys: see In
	base    *Policy   // on which In was called; nil if there is no home
	loans   bool      // some are limits on concurrent calls
	shared  bool      // some are Shared
	locking bool      // some have a Lockout
	phases  *phases   // how it is decided, if it has shadow limits
	block   *blocking // that is in front of it; nil if there is none
	beside  []*Policy // of a phase's policy: the limits that are watched, one each

	onlyLoans []store.Limit // those on concurrent calls, if there are others as well
	names     *count.Names  // of the limits, for metrics
}

// Unlimited exempts a key: every call is admitted and no store is asked.
var Unlimited = &Policy{}

// NewPolicy compiles one to four limits with distinct names; one of them may stay
// unnamed. The error joins a [LimitError] for each fault.
func NewPolicy(limits ...Limit) (*Policy, error) {
	var faults []error
	if len(limits) == 0 || len(limits) > store.MaxLimits {
		faults = append(faults, wrongCount(len(limits)))
	}
	seen := make(map[string]bool, len(limits))
	for _, l := range limits {
		if err := l.check(); err != nil {
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
	p := newPolicy(limits)
	if slices.ContainsFunc(limits, func(l Limit) bool { return l.Shadow }) {
		p.phases = &phases{all: p, rollOut: slices.ContainsFunc(limits, func(l Limit) bool { return l.EnforceFor != 0 })}
	}
	return p, nil
}

// newPolicy compiles limits that are valid.
func newPolicy(limits []Limit) *Policy {
	p := &Policy{limits: make([]store.Limit, len(limits)), written: make([]Limit, len(limits))}
	for i, l := range limits {
		p.limits[i] = l.compiled()
		p.written[i] = l.withDefaults()
		p.loans, p.shared = p.loans || l.Concurrent, p.shared || l.Shared
		p.locking = p.locking || l.Lockout != Lockout{}
		if l.Concurrent {
			p.onlyLoans = append(p.onlyLoans, p.limits[i])
		}
	}
	if len(p.onlyLoans) == len(p.limits) {
		p.onlyLoans = nil
	}
	p.names = count.NamesOf(p.limits)
	return p
}

// MarshalText implements [encoding.TextMarshaler] with the form of [Policy.String]. It
// returns an error for a policy that [NewPolicy] did not make. There is no UnmarshalText,
// since a Policy never changes: use [ParsePolicy].
func (p *Policy) MarshalText() ([]byte, error) {
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("ratelimit: no text for this policy: %w", err)
	}
	return []byte(p.String()), nil
}

// Limits returns the limits of p with their defaults filled in; [Unlimited] and [Blocked] have
// none. Of a policy of [NewBlocked], they are those from the end of the block on.
func (p *Policy) Limits() []Limit { return slices.Clone(p.written) }

// Compiled returns the limits of p as a [store.Request] takes them. The caller must not
// change them. A limit that is only watched is among them.
func (p *Policy) Compiled() []store.Limit { return p.limits }

// PolicyFor makes a Policy usable as [Limits]: every key is held to it. It returns a
// [LimitError] if p is neither made by [NewPolicy] or [NewBlocked] nor [Unlimited].
func (p *Policy) PolicyFor(context.Context, string) (*Policy, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	return p, nil
}

// check returns a [LimitError] if p is neither a policy of [NewPolicy] or [NewBlocked] nor
// [Unlimited].
func (p *Policy) check() error {
	found := "nil"
	switch {
	case p == Unlimited || p != nil && (len(p.limits) > 0 || p.block != nil):
		return nil
	case p != nil:
		found = "zero value"
	}
	return &LimitError{Field: "Policy", Value: found, Want: "must be made with ratelimit.NewPolicy; to exempt a key, use ratelimit.Unlimited"}
}

// fits reports whether every limit has room for n tokens beside the debts of d.
func (p *Policy) fits(d *store.Decision, n int) bool {
	for i := range p.limits {
		if l := &p.limits[i]; l.Remaining(d.Debts[i])-d.Held[i] < l.Tokens(n) || n < 0 {
			return false
		}
	}
	return true
}

// needsHold is the error for a call that would never give its place back.
func (p *Policy) needsHold() *LimitError {
	return &LimitError{Limit: p.firstLoan().Name, Field: "Concurrent", Value: p.firstLoan().String(),
		Want: "must be decided with Limiter.Hold or Limiter.Enter: nothing would give the place back that Allow, AllowN, AllowUpTo or Wait takes"}
}

// needsHolder is the error for a store that cannot hold what the policy's limits on concurrent
// calls hold.
func (p *Policy) needsHolder() *LimitError {
	e := needsHolderTo("to count calls at a time")
	e.Limit = p.firstLoan().Name
	return e
}

// needsHolderTo is the error for a store that cannot do what only a [store.Holder] can.
func needsHolderTo(do string) *LimitError {
	return &LimitError{Field: "store", Want: "must be a store.Holder whose Holds reports true, such as a memstore.Store, " + do}
}

// firstLoan returns the first limit on concurrent calls, or the zero Limit.
func (p *Policy) firstLoan() Limit {
	for _, l := range p.written {
		if l.Concurrent {
			return l
		}
	}
	return Limit{}
}

func sameName(name, others string) *LimitError {
	return &LimitError{Limit: name, Field: "Name", Value: name,
		Want: "must differ from " + others + `, as in ratelimit.PerDay(1000).Named("daily")`}
}

func wrongCount(n int) *LimitError {
	return &LimitError{Field: "limits", Value: fmt.Sprintf("%d of them", n),
		Want: fmt.Sprintf("must be 1 to %d; to exempt a key, use ratelimit.Unlimited", store.MaxLimits)}
}

// PolicyFor makes a Limit usable as [Limits]: every key is held to it. It compiles the
// limit in each call; [New] does that once.
func (l Limit) PolicyFor(context.Context, string) (*Policy, error) { return NewPolicy(l) }
