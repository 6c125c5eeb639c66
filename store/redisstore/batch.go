package redisstore

import (
	"errors"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
)

// A flight is one call of the script, for several decisions: its arguments, which
// take.lua describes, and its answer.
type flight struct {
	calls []*call
	keys  []any
	args  []any
}

// kind is what requests may have in common: then it is sent once.
type kind struct {
	policy *ratelimit.Policy
	cost   int
}

func (c *call) kind() kind { return kind{c.request.Policy, c.request.Cost} }

// pack writes the arguments down.
func pack(calls []*call) flight {
	f := flight{calls: calls, keys: make([]any, 0, len(calls)), args: make([]any, 0, 8)}
	kinds := kindsOf(calls)
	f.args = append(f.args, len(kinds))
	for _, k := range kinds {
		f.packKind(k)
	}
	alike := len(kinds) == 1 && !slices.ContainsFunc(calls, func(c *call) bool { return c.request.Known != nil })
	for _, c := range calls {
		for i := range c.request.Policy.Len() {
			f.keys = append(f.keys, c.buckets[i])
		}
		if !alike {
			f.packRequest(c, 1+slices.Index(kinds, c.kind()))
		}
	}
	return f
}

// kindsOf returns the kinds of calls, mostly one or very few.
func kindsOf(calls []*call) []kind {
	kinds := []kind{calls[0].kind()}
	for _, c := range calls[1:] {
		if k := c.kind(); !slices.Contains(kinds, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// packRequest writes down one request of the nth kind.
func (f *flight) packRequest(c *call, n int) {
	if c.request.Known == nil {
		f.args = append(f.args, n)
		return
	}
	f.args = append(f.args, -n)
	for i := range c.request.Policy.Len() {
		known := &c.request.Known[i]
		f.args = append(f.args, known.Debt.Micros, known.Debt.Frac, known.TAT.Micros, known.TAT.Frac, known.TAT.Den, known.Seen)
	}
}

// The modes of a kind.
const (
	modePeek   = iota // only tells the state
	modeCharge        // charges, if there is room
	modeNever         // the cost is negative, or above a burst: there never is
)

func (f *flight) packKind(k kind) {
	mode := modeCharge
	if k.cost == 0 {
		mode = modePeek
	}
	for i := range k.policy.Len() {
		if _, ok := k.policy.Bucket(i).Cost(k.cost); !ok {
			mode = modeNever
		}
	}
	f.args = append(f.args, mode, k.policy.Len())
	for i := range k.policy.Len() {
		b := k.policy.Bucket(i)
		capacity := b.Capacity()
		var cost ratelimit.Debt
		if mode == modeCharge {
			cost, _ = b.Cost(k.cost)
		}
		f.args = append(f.args, b.Denominator(), capacity.Micros, capacity.Frac, cost.Micros, cost.Frac)
	}
}

// errAnswer says that what answered is not the script.
var errAnswer = errors.New("redisstore: the script's answer is not in its form; is a proxy in between, or has the script been replaced?")

// An answer is what is left to read of the script's.
type answer []int64

// next returns the next number, or 0 and false.
func (a *answer) next() (n int64, ok bool) {
	if len(*a) == 0 {
		return 0, false
	}
	n, *a = (*a)[0], (*a)[1:]
	return n, true
}

// unpack reads the decisions, and how many values in Redis were not ours. It takes
// nothing on trust: the limiter computes with the debts as they are.
func (f *flight) unpack(a answer) (decisions []ratelimit.Decision, foreign int64, err error) {
	now, _ := a.next()
	foreign, ok := a.next()
	if !ok || now <= 0 || foreign < 0 {
		return nil, 0, errAnswer
	}
	decisions = make([]ratelimit.Decision, len(f.calls))
	for i, c := range f.calls {
		if decisions[i], ok = a.decision(c.request.Policy); !ok {
			return nil, 0, errAnswer
		}
		decisions[i].Now = now
	}
	if len(a) > 0 {
		return nil, 0, errAnswer
	}
	return decisions, foreign, nil
}

// decision reads one decision, and returns false if it cannot be one.
func (a *answer) decision(p *ratelimit.Policy) (d ratelimit.Decision, ok bool) {
	for i := range p.Len() {
		b := p.Bucket(i)
		micros, ok := a.next()
		if i == 0 {
			if d.Allowed = micros >= 0; !d.Allowed {
				micros = -1 - micros
			}
		}
		var frac int64
		if b.Denominator() > 1 && ok {
			frac, ok = a.next()
		}
		debt := ratelimit.Debt{Micros: micros, Frac: uint32(frac)}
		if !ok || micros < 0 || frac < 0 || frac >= int64(b.Denominator()) || !b.Fits(debt) {
			return d, false
		}
		d.Debts[i] = debt
	}
	return d, true
}
