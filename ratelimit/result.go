package ratelimit

import (
	"math"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A Result is the answer to one call. Its methods without an index speak of the limit that
// decides: of a denial, the violated limit with the longest wait; otherwise the limit with
// the fewest tokens left. A denial is a Result, not an error.
//
// The zero Result denies. A Result is a value of 96 bytes that refers to its policy; it
// may be read by several goroutines.
type Result struct {
	// Allowed reports whether to serve the call.
	Allowed bool

	denied bool // what was decided, enforced or not
	shadow bool
	source store.Source
	beside uint8 // what is known of policy.beside
	policy *Policy
	cost   int
	wait   time.Duration              // what the store wants a denied caller to wait, if that is longer
	debts  [store.MaxLimits]gcra.Debt // of the policy's limits, then of those beside
}

// A LimitState is what a [Result] says about one limit of the key's policy.
type LimitState struct {
	Limit      Limit
	Violated   bool // the limit had no room for the call
	Remaining  int
	RetryAfter time.Duration // 0 if not violated
	ResetAfter time.Duration
}

// Limit returns the limit that decides, its defaults filled in: the zero Limit for an
// exempt key and after an error.
func (r *Result) Limit() Limit {
	if r.Len() == 0 {
		return Limit{}
	}
	return r.policy.written[r.deciding()]
}

// Remaining returns how many tokens are left, rounded down; [math.MaxInt] for an exempt
// key.
func (r *Result) Remaining() int {
	switch {
	case r.Exempt():
		return math.MaxInt
	case r.policy == nil:
		return 0
	}
	i := r.deciding()
	return r.policy.limits[i].Remaining(r.debts[i])
}

// RetryAfter returns 0 for a call that was admitted. Otherwise a caller that waits this
// long and has no competitor is admitted next; it is a whole number of microseconds,
// rounded up, or [gcra.Never]. If Shadow and WouldDeny report true, it is the wait that
// would have been enforced.
func (r *Result) RetryAfter() time.Duration {
	if !r.denied {
		return 0
	}
	i := r.deciding()
	return max(r.policy.limits[i].RetryAfter(r.debts[i], r.cost), r.wait)
}

// ResetAfter returns how long the bucket takes to fill up if no call comes, in whole
// microseconds, rounded up.
func (r *Result) ResetAfter() time.Duration {
	if r.Len() == 0 {
		return 0
	}
	return r.debts[r.deciding()].Duration()
}

// Cost returns how many tokens were asked for.
func (r *Result) Cost() int { return r.cost }

// Source returns what the answer is based on: [store.NoSource] after an error and for an
// exempt key.
func (r *Result) Source() store.Source { return r.source }

// Shadow reports that nothing is enforced, because of Config.Shadow or because all limits
// of the key are shadow: Allowed is true whatever was decided, and the client should not
// see any of it.
func (r *Result) Shadow() bool { return r.shadow }

// WouldDeny reports that the call is admitted and would have been denied if all limits of
// the key were enforced: see also [Result.ShadowState].
func (r *Result) WouldDeny() bool {
	return r.Allowed && (r.denied || r.beside&(besideDenied*(1<<store.MaxLimits-1)) != 0)
}

// Exempt reports whether the key is [Unlimited].
func (r *Result) Exempt() bool { return r.policy == Unlimited }

// Policy returns the policy that was applied, or nil after an error. Of a policy that has
// shadow limits beside enforced ones, it is the enforced part: a Policy of its own.
func (r *Result) Policy() *Policy { return r.policy }

// Len returns how many limits were decided together: 0 for an exempt key.
func (r *Result) Len() int {
	if r.policy == nil {
		return 0
	}
	return len(r.policy.limits)
}

// State returns what is known of one limit. State(0) is the one that decides, the others
// follow in the order of the policy. It returns the zero LimitState if i is not below Len.
func (r *Result) State(i int) LimitState {
	if i < 0 || i >= r.Len() {
		return LimitState{}
	}
	at := r.index(i)
	l := &r.policy.limits[at]
	s := LimitState{
		Limit:      r.policy.written[at],
		Remaining:  l.Remaining(r.debts[at]),
		ResetAfter: r.debts[at].Duration(),
	}
	if r.denied {
		s.RetryAfter = l.RetryAfter(r.debts[at], r.cost)
		s.Violated = s.RetryAfter > 0
		if i == 0 && s.Violated {
			s.RetryAfter = max(s.RetryAfter, r.wait)
		}
	}
	return s
}

// NextAfter returns how long it takes until the limit of State(i) has a whole token if no
// call comes: 0 if it has one now. It is a whole number of microseconds, rounded up, and 0
// if i is not below Len.
func (r *Result) NextAfter(i int) time.Duration {
	if i < 0 || i >= r.Len() {
		return 0
	}
	at := r.index(i)
	return r.policy.limits[at].RetryAfter(r.debts[at], 1)
}

// index returns where in the policy the limit of State(i) is.
func (r *Result) index(i int) int {
	switch deciding := r.deciding(); {
	case i == 0:
		return deciding
	case i <= deciding:
		return i - 1
	default:
		return i
	}
}

// deciding returns where in the policy the limit is that decides.
func (r *Result) deciding() int {
	if len(r.policy.limits) == 1 {
		return 0
	}
	return r.longest()
}

func (r *Result) longest() (at int) {
	var wait time.Duration
	var left int
	for i := range r.policy.limits {
		l := &r.policy.limits[i]
		var retry time.Duration
		if r.denied {
			retry = l.RetryAfter(r.debts[i], r.cost)
		}
		if remaining := l.Remaining(r.debts[i]); i == 0 || retry > wait || retry == wait && remaining < left {
			at, left, wait = i, remaining, retry
		}
	}
	return at
}

// What is known of the limits beside, four bits each.
const (
	besideKnown  uint8 = 1
	besideDenied uint8 = 1 << store.MaxLimits
)

// ShadowLen returns how many limits were watched beside those that were enforced. For
// a result of shadow mode, Len and State tell of the limits that were watched.
func (r *Result) ShadowLen() int {
	if r.policy == nil {
		return 0
	}
	return len(r.policy.beside)
}

// ShadowState returns what is known of one limit that was watched beside those that were
// enforced, in the order of the policy, and whether anything is: a limit that is watched
// is not asked about a call that was refused, and may fail. Violated says that it would
// have refused the call. It returns false if i is not below ShadowLen.
func (r *Result) ShadowState(i int) (LimitState, bool) {
	if i < 0 || i >= r.ShadowLen() {
		return LimitState{}, false
	}
	p := r.policy.beside[i]
	b, written := &p.limits[0], p.written[0]
	if r.beside&(besideKnown<<i) == 0 {
		return LimitState{Limit: written}, false
	}
	debt := r.debts[len(r.policy.limits)+i]
	s := LimitState{Limit: written, Remaining: b.Remaining(debt), ResetAfter: debt.Duration()}
	if s.Violated = r.beside&(besideDenied<<i) != 0; s.Violated {
		s.RetryAfter = b.RetryAfter(debt, r.cost)
	}
	return s, true
}
