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

	denied   bool // what was decided, enforced or not
	shadow   bool
	source   store.Source
	beside   uint8 // what is known of policy.beside
	deciding uint8 // where in the policy the limit is that decides
	hinted   bool  // wait is Config.RetryHint, and else the least wait, as the store returned it
	policy   *Policy
	cost     int
	wait     time.Duration
	states   [store.MaxLimits]state // of the policy's limits, then of those beside
}

// A state is the debt of a bucket and what of it is held, in 16 bytes.
type state struct {
	micros     int64
	frac, held uint32
}

// stateFrom returns the state of a bucket. More than 2^32 held tokens count as so many.
func stateFrom(d gcra.Debt, held int) state {
	return state{d.Micros, d.Frac, uint32(min(uint64(held), math.MaxUint32))}
}

func (s state) debt() gcra.Debt { return gcra.Debt{Micros: s.micros, Frac: s.frac} }

// remaining returns how many tokens of a limit are neither spent nor held.
func (s state) remaining(l *store.Limit) int { return max(l.Remaining(s.debt())-int(s.held), 0) }

// lacks reports whether a call of cost n does not fit.
func (s state) lacks(l *store.Limit, n int) bool {
	return l.Remaining(s.debt())-int(s.held) < l.Tokens(n)
}

// alone returns how long a call of cost n would wait if nothing were held.
func (s state) alone(l *store.Limit, n int) time.Duration { return l.RetryAfter(s.debt(), l.Tokens(n)) }

// kept returns how long a call of cost n waits if all that is held stays: [gcra.Never] if it
// cannot fit beside that.
func (s state) kept(l *store.Limit, n int) time.Duration {
	if n = l.Tokens(n); n > l.Burst() || int(s.held) > l.Burst()-n {
		return gcra.Never
	}
	return l.RetryAfter(s.debt(), n+int(s.held))
}

// retryAfter returns how long a call of cost n must wait. What is held may come back at any
// time, so that is the hint, within the times that are certain.
func (s state) retryAfter(l *store.Limit, n int, hint time.Duration) time.Duration {
	alone := s.alone(l, n)
	if s.held == 0 || alone == gcra.Never {
		return alone
	}
	return min(max(hint, alone), s.kept(l, n))
}

// A LimitState is what a [Result] says about one limit of the key's policy.
type LimitState struct {
	Limit      Limit
	Violated   bool          // the limit had no room for the call
	Remaining  int           // tokens left, rounded down
	Held       int           // tokens that calls in progress hold, or their number
	RetryAfter time.Duration // how long to wait, as Result.RetryAfter says; 0 if not violated
	ResetAfter time.Duration // how long the bucket takes to fill up if no call comes
	// NextAfter is how long the bucket takes to have a whole token if no call comes: 0 if it
	// has one. Like the other times it is a whole number of microseconds, rounded up. While
	// tokens are held, ResetAfter and NextAfter are lower bounds; of a limit on concurrent
	// calls both are 0.
	NextAfter time.Duration
	// Undecided reports that nothing is known of a shadow limit, so that only Limit is set:
	// it is not asked about a call that was denied, and may fail.
	Undecided bool
}

// Limit returns the limit that decides, its defaults filled in: the zero Limit for a key that
// is exempt or blocked, and after an error.
func (r *Result) Limit() Limit {
	if r.Len() == 0 {
		return Limit{}
	}
	return r.policy.written[r.deciding]
}

// Remaining returns how many tokens are left, rounded down; [math.MaxInt] for an exempt
// key.
func (r *Result) Remaining() int {
	switch {
	case r.policy == Unlimited:
		return math.MaxInt
	case r.Len() == 0:
		return 0
	}
	return r.states[r.deciding].remaining(&r.policy.limits[r.deciding])
}

// RetryAfter returns 0 for a call that was admitted. Otherwise a caller that waits this
// long and has no competitor is admitted next; it is a whole number of microseconds,
// rounded up, or [gcra.Never]. When held tokens come back is not known: while the limit has
// some, RetryAfter is Config.RetryHint, but at least until what was spent leaves room, and at
// most until the call fits beside all that is held. For a blocked key it is the time until the
// end of the block, or [gcra.Never]. If Shadow and WouldDeny report true, it is
// the wait that would have been enforced.
func (r *Result) RetryAfter() time.Duration {
	switch {
	case !r.denied:
		return 0
	case r.Len() == 0: // the key is blocked
		return r.wait
	}
	i := int(r.deciding)
	return max(r.states[i].retryAfter(&r.policy.limits[i], r.cost, r.hint()), r.least())
}

// hint returns Config.RetryHint if the wait depends on it.
func (r *Result) hint() time.Duration {
	if r.hinted {
		return r.wait
	}
	return 0
}

// least returns the wait that the store returned.
func (r *Result) least() time.Duration {
	if r.hinted {
		return 0
	}
	return r.wait
}

// ResetAfter returns how long the bucket takes to fill up if no call comes, in whole
// microseconds, rounded up.
func (r *Result) ResetAfter() time.Duration {
	if r.Len() == 0 {
		return 0
	}
	return r.states[r.deciding].debt().Duration()
}

// Cost returns how many tokens were asked for. Of [Limiter.AllowUpTo], it returns how many
// were granted or, of a denial, the 1 that was not there.
func (r *Result) Cost() int { return r.cost }

// Granted returns how many tokens an admitted call got: its cost or, of [Limiter.AllowUpTo],
// maybe fewer than it asked for. It returns 0 for a denied call.
func (r *Result) Granted() int {
	if !r.Allowed {
		return 0
	}
	return r.cost
}

// Source returns what the answer is based on: [store.NoSource] after an error and for a key
// that is exempt or blocked.
func (r *Result) Source() store.Source { return r.source }

// Blocked reports that the call was denied because its key is blocked: Policy().Block returns
// why and until when. No store was asked, and there are no limits to report.
func (r *Result) Blocked() bool { return r.policy != nil && r.policy.block != nil }

// Shadow reports that nothing is enforced, because of Config.Shadow or because all limits
// of the key are shadow: Allowed is true whatever was decided, and the client should not
// see any of it.
func (r *Result) Shadow() bool { return r.shadow }

// WouldDeny reports that the call is admitted and would have been denied if all limits of
// the key were enforced: see also [Result.ShadowState].
func (r *Result) WouldDeny() bool {
	return r.Allowed && (r.denied || r.beside&(besideDenied*(1<<store.MaxLimits-1)) != 0)
}

// Policy returns the policy that was applied: [Unlimited] for an exempt key, one without limits
// for a blocked key, nil after an error. If the key has shadow limits beside enforced ones, Policy returns a policy of the
// enforced ones.
func (r *Result) Policy() *Policy { return r.policy }

// Len returns how many limits were decided together: 0 for a key that is exempt or blocked.
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
	s := stateOf(r.policy.written[at], l, r.states[at])
	if r.denied {
		s.Violated = r.states[at].lacks(l, r.cost)
		s.RetryAfter = r.states[at].retryAfter(l, r.cost, r.hint())
		if i == 0 && s.Violated {
			s.RetryAfter = max(s.RetryAfter, r.least())
		}
	}
	return s
}

// stateOf returns the state of a limit with a debt.
func stateOf(written Limit, l *store.Limit, at state) LimitState {
	s := LimitState{Limit: written, Remaining: at.remaining(l), Held: int(at.held), ResetAfter: at.debt().Duration()}
	if s.Remaining == 0 {
		if s.NextAfter = at.kept(l, 1); s.NextAfter == gcra.Never {
			s.NextAfter = at.alone(l, 1)
		}
	}
	return s
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

// decides returns where in the policy the limit is that decides.
func (r *Result) decides() (at uint8) {
	if r.denied {
		return r.longest()
	}
	fewest := 0
	for i := range r.policy.limits {
		if n := r.states[i].remaining(&r.policy.limits[i]); i == 0 || n < fewest {
			at, fewest = uint8(i), n
		}
	}
	return at
}

// longest returns where the limit is with the longest wait; of those with the same wait, the
// one with the fewest tokens left.
func (r *Result) longest() (at uint8) {
	limits := r.policy.limits
	wait := r.states[0].retryAfter(&limits[0], r.cost, r.hint())
	for i := 1; i < len(limits); i++ {
		retry := r.states[i].retryAfter(&limits[i], r.cost, r.hint())
		if retry > wait || retry == wait && r.states[i].remaining(&limits[i]) < r.states[at].remaining(&limits[at]) {
			at, wait = uint8(i), retry
		}
	}
	return at
}

// What is known of the limits beside, four bits each.
const (
	besideKnown  uint8 = 1
	besideDenied uint8 = 1 << store.MaxLimits
)

// ShadowState returns the state of the shadow limit with index i beside those that were
// enforced, in the order of the policy. It returns false if i is out of range. Violated
// reports that the limit would have denied the call.
//
// In shadow mode no limit is enforced, and all of them are in State.
func (r *Result) ShadowState(i int) (s LimitState, ok bool) {
	if r.policy == nil || i < 0 || i >= len(r.policy.beside) {
		return LimitState{}, false
	}
	p := r.policy.beside[i]
	l := &p.limits[0]
	if r.beside&(besideKnown<<i) == 0 {
		return LimitState{Limit: p.written[0], Undecided: true}, true
	}
	at := r.states[len(r.policy.limits)+i]
	s = stateOf(p.written[0], l, at)
	if s.Violated = r.beside&(besideDenied<<i) != 0; s.Violated {
		s.RetryAfter = at.retryAfter(l, r.cost, r.hint())
	}
	return s, true
}
