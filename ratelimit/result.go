package ratelimit

import (
	"math"
	"time"
)

// Never is the RetryAfter of a call whose cost is above the burst: no wait helps.
const Never time.Duration = math.MaxInt64

// A Result is the answer to one call. Its fields speak of one limit, the one that
// decides: of a denial, the violated limit with the longest wait; otherwise the
// limit with the fewest tokens left. A denial is a Result, not an error.
//
// The zero Result denies. A Result is a value, of no use to the limiter later.
type Result struct {
	// Allowed says whether to serve the call.
	Allowed bool
	// Shadow says that nothing is enforced, because of Config.Shadow or since all limits
	// of the key are shadow: Allowed is true whatever was decided, and callers should be
	// shown nothing of it.
	Shadow bool
	// WouldDeny says that the call is admitted, and would have been denied if all limits
	// of the key were enforced: see also [Result.ShadowState].
	WouldDeny bool
	// Source says what the answer is founded on: NoSource where there was an error, or the
	// key is exempt.
	Source Source
	// Limit is the limit that decides, its defaults filled in. For a key that is
	// exempt it is the zero Limit.
	Limit Limit
	// Remaining is how many tokens are left, rounded down; for an exempt key
	// math.MaxInt.
	Remaining int
	// RetryAfter is 0 for a call that was admitted. Otherwise, a caller that
	// waits so long and is alone is admitted next; it is a whole number of
	// microseconds, rounded up, or [Never]. If Shadow and WouldDeny are true, it is
	// what the call would have been told.
	RetryAfter time.Duration
	// ResetAfter is how long the bucket takes to fill up, if nobody calls, in
	// whole microseconds, rounded up.
	ResetAfter time.Duration
	// Cost is how many tokens were asked for.
	Cost int

	policy   *Policy
	deciding uint8
	refused  bool            // what was decided, be it enforced or not
	beside   uint8           // what is known of policy.beside
	debts    [MaxLimits]Debt // of the policy's limits, and then of those beside
}

// A LimitState is what a [Result] knows of one limit of the key's policy.
type LimitState struct {
	Limit      Limit
	Violated   bool // the limit had no room for the call
	Remaining  int
	RetryAfter time.Duration // 0 where not violated
	ResetAfter time.Duration
}

// Exempt tells whether the key is held to nothing, being [Unlimited].
func (r *Result) Exempt() bool { return r.policy == Unlimited }

// Policy returns the policy that was applied, or nil if there was none because of
// an error. Of a policy with limits that are shadow, and others that are not, it is the
// part that was enforced: another Policy than the key's.
func (r *Result) Policy() *Policy { return r.policy }

// Len returns how many limits were decided together: 0 for an exempt key.
func (r *Result) Len() int {
	if r.policy == nil {
		return 0
	}
	return len(r.policy.buckets)
}

// State returns what is known of one limit. State(0) is the one that decides, the
// others follow in the order of the policy. It returns the zero LimitState if i is
// not below Len.
func (r *Result) State(i int) LimitState {
	if i < 0 || i >= r.Len() {
		return LimitState{}
	}
	at := r.index(i)
	b := &r.policy.buckets[at]
	s := LimitState{
		Limit:      b.limit,
		Remaining:  b.Remaining(r.debts[at]),
		ResetAfter: r.debts[at].Duration(),
	}
	if r.refused {
		s.RetryAfter = b.RetryAfter(r.debts[at], r.Cost)
		s.Violated = s.RetryAfter > 0
		if i == 0 && s.Violated {
			s.RetryAfter = max(s.RetryAfter, r.RetryAfter)
		}
	}
	return s
}

// NextAfter returns how long it takes until the limit of State(i) has a whole token,
// if nobody calls: 0 if it has one now. It is a whole number of microseconds,
// rounded up, and 0 if i is not below Len.
func (r *Result) NextAfter(i int) time.Duration {
	if i < 0 || i >= r.Len() {
		return 0
	}
	at := r.index(i)
	return r.policy.buckets[at].RetryAfter(r.debts[at], 1)
}

// index returns where in the policy the limit of State(i) is.
func (r *Result) index(i int) int {
	switch deciding := int(r.deciding); {
	case i == 0:
		return deciding
	case i <= deciding:
		return i - 1
	default:
		return i
	}
}

// decide fills r in from what the store answered.
func (r *Result) decide(d *Decision) {
	r.decideOne(d.Debts[0], d.Allowed)
	if d.Source != NoSource {
		r.Source = d.Source
	}
	if len(r.policy.buckets) > 1 {
		r.decideAmong(d)
	}
	if !d.Allowed && d.RetryAfter > r.RetryAfter {
		r.RetryAfter = d.RetryAfter
	}
}

// decideOne fills r in for the first limit of the policy.
func (r *Result) decideOne(debt Debt, allowed bool) {
	b := &r.policy.buckets[0]
	r.Allowed, r.refused, r.Source = allowed, !allowed, FromStore
	r.Remaining = b.Remaining(debt)
	if !allowed {
		r.RetryAfter = b.RetryAfter(debt, r.Cost)
	}
	r.Limit = b.limit
	r.ResetAfter = debt.Duration()
	r.debts[0] = debt
}

// decideAmong finds, of several limits, the one that decides.
func (r *Result) decideAmong(d *Decision) {
	r.debts = d.Debts
	for i := 1; i < len(r.policy.buckets); i++ {
		b := &r.policy.buckets[i]
		remaining := b.Remaining(d.Debts[i])
		var retry time.Duration
		if !d.Allowed {
			retry = b.RetryAfter(d.Debts[i], r.Cost)
		}
		if retry > r.RetryAfter || retry == r.RetryAfter && remaining < r.Remaining {
			r.deciding, r.Remaining, r.RetryAfter = uint8(i), remaining, retry
		}
	}
	r.Limit = r.policy.buckets[r.deciding].limit
	r.ResetAfter = d.Debts[r.deciding].Duration()
}
