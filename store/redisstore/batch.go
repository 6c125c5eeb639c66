package redisstore

import (
	"slices"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A batch is one call of the script for several decisions: its arguments, which take.lua
// describes, and the way to read its answer.
type batch struct {
	calls []*call
	keys  []any
	args  []any
}

// batchesByKey sorts calls into batches, one for each API key and its limits. In a Cluster
// only the buckets of one key are certain to be in one slot. While a slot moves, Redis
// wants all keys of a script call in one place, so a call must not depend on the buckets
// of other limits.
func batchesByKey(calls []*call) []batch {
	type group struct {
		tag   string
		first *store.Limit
		n     int
	}
	groups := make(map[group][]*call, len(calls))
	var order []group
	for _, c := range calls {
		g := group{c.tag, &c.request.Limits[0], len(c.request.Limits)}
		if groups[g] == nil {
			order = append(order, g)
		}
		groups[g] = append(groups[g], c)
	}
	batches := make([]batch, len(order))
	for i, g := range order {
		batches[i] = newBatch(groups[g])
	}
	return batches
}

// kind is what requests may have in common. A batch sends it once.
type kind struct {
	limits []store.Limit
	cost   int
}

// is reports whether the kinds are the same: a policy gives each request the same slice.
func (k kind) is(o kind) bool {
	return k.cost == o.cost && &k.limits[0] == &o.limits[0] && len(k.limits) == len(o.limits)
}

func (c *call) kind() kind { return kind{c.request.Limits, c.request.Cost} }

// newBatch returns a batch of calls.
func newBatch(calls []*call) batch {
	b := batch{calls: calls, keys: make([]any, 0, len(calls)), args: make([]any, 0, 8)}
	kinds := kindsOf(calls)
	b.args = append(b.args, len(kinds))
	for _, k := range kinds {
		b.addKind(k)
	}
	alike := len(kinds) == 1 && !slices.ContainsFunc(calls, func(c *call) bool { return c.request.Known != nil })
	for _, c := range calls {
		for i := range c.request.Limits {
			b.keys = append(b.keys, c.buckets[i])
		}
		if !alike {
			b.addRequest(c, 1+slices.IndexFunc(kinds, c.kind().is))
		}
	}
	return b
}

// kindsOf returns the kinds of calls, usually very few.
func kindsOf(calls []*call) []kind {
	kinds := []kind{calls[0].kind()}
	for _, c := range calls[1:] {
		if k := c.kind(); !slices.ContainsFunc(kinds, k.is) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// The modes of a kind.
const (
	modePeek   = iota // returns the state and charges nothing
	modeCharge        // charges, if all limits have room
	modeNever         // the cost is negative or above a burst: always denied
)

func (b *batch) addKind(k kind) {
	mode := modeCharge
	if k.cost == 0 {
		mode = modePeek
	}
	for i := range k.limits {
		if _, ok := k.limits[i].Cost(k.cost); !ok {
			mode = modeNever
		}
	}
	b.args = append(b.args, mode, len(k.limits))
	for i := range k.limits {
		limit := &k.limits[i]
		capacity := limit.Capacity()
		var cost gcra.Debt
		if mode == modeCharge {
			cost, _ = limit.Cost(k.cost)
		}
		b.args = append(b.args, limit.Denominator(), capacity.Micros, capacity.Frac, cost.Micros, cost.Frac)
	}
}

// addRequest adds one request of the nth kind.
func (b *batch) addRequest(c *call, n int) {
	if c.request.Known == nil {
		b.args = append(b.args, n)
		return
	}
	b.args = append(b.args, -n)
	for i := range c.request.Limits {
		known := &c.request.Known[i]
		b.args = append(b.args, known.Debt.Micros, known.Debt.Frac, known.TAT.Micros, known.TAT.Frac, known.TAT.Den, known.Seen)
	}
}

// An answer is the part of the script's answer that is still to be read.
type answer []int64

// next returns the next number, or 0 and false.
func (a *answer) next() (n int64, ok bool) {
	if len(*a) == 0 {
		return 0, false
	}
	n, *a = (*a)[0], (*a)[1:]
	return n, true
}

// decisions returns the decisions in an answer, and the number of foreign values that
// they found in Redis. It takes nothing on trust: the limiter computes with these debts.
func (b *batch) decisions(a answer) (decisions []store.Decision, foreign int64, err error) {
	now, _ := a.next()
	foreign, ok := a.next()
	if !ok || now <= 0 || foreign < 0 {
		return nil, 0, errAnswer
	}
	decisions = make([]store.Decision, len(b.calls))
	for i, c := range b.calls {
		if decisions[i], ok = a.decision(c.request.Limits); !ok {
			return nil, 0, errAnswer
		}
		decisions[i].Now = now
	}
	if len(a) > 0 {
		return nil, 0, errAnswer
	}
	return decisions, foreign, nil
}

// decision reads one decision. It returns false for one that cannot be.
func (a *answer) decision(limits []store.Limit) (d store.Decision, ok bool) {
	for i := range limits {
		limit := &limits[i]
		micros, ok := a.next()
		if i == 0 {
			if d.Allowed = micros >= 0; !d.Allowed {
				micros = -1 - micros
			}
		}
		var frac int64
		if limit.Denominator() > 1 && ok {
			frac, ok = a.next()
		}
		debt := gcra.Debt{Micros: micros, Frac: uint32(frac)}
		if !ok || micros < 0 || frac < 0 || frac >= int64(limit.Denominator()) || !limit.Fits(debt) {
			return d, false
		}
		d.Debts[i] = debt
	}
	return d, true
}
