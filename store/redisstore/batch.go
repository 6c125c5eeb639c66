package redisstore

import (
	"slices"
	"strconv"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

// A batch is one call of the script for several decisions: its arguments, which take.lua
// describes, and the way to read its answer.
type batch struct {
	calls []*call
	parts []*call // the calls, each after its releases
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
	least  int
	mode   int
}

// is reports whether the kinds are the same: a policy gives each request the same slice.
func (k kind) is(o kind) bool {
	return k.cost == o.cost && k.least == o.least && k.mode == o.mode &&
		&k.limits[0] == &o.limits[0] && len(k.limits) == len(o.limits)
}

// newBatch returns a batch of calls.
func newBatch(calls []*call) batch {
	b := batch{calls: calls, parts: withReleases(calls), keys: make([]any, 0, len(calls)), args: make([]any, 0, 8)}
	kinds := kindsOf(b.parts)
	mixed := 0
	if mix(kinds) {
		mixed = 1
	}
	b.args = append(b.args, mixed, len(kinds))
	for _, k := range kinds {
		b.addKind(k)
	}
	alike := len(kinds) == 1 && kinds[0].mode < modeLease && !slices.ContainsFunc(calls, func(c *call) bool { return c.request.Known != nil })
	for _, c := range b.parts {
		for i := range c.request.Limits {
			b.keys = append(b.keys, c.buckets[i])
		}
		if !alike {
			b.addRequest(c, 1+slices.IndexFunc(kinds, c.kind().is))
		}
	}
	return b
}

// withReleases returns the calls, each after its releases.
func withReleases(calls []*call) []*call {
	if !slices.ContainsFunc(calls, func(c *call) bool { return len(c.releases) > 0 }) {
		return calls
	}
	var parts []*call
	for _, c := range calls {
		parts = append(append(parts, c.releases...), c)
	}
	return parts
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

// mix reports whether a bucket may be used under two intervals in one batch: two limits have
// one name and different intervals.
func mix(kinds []kind) bool {
	for i, k := range kinds {
		for _, o := range kinds[:i] {
			for j := range k.limits {
				for l := range o.limits {
					a, b := &k.limits[j], &o.limits[l]
					if a.Name == b.Name && !a.SameInterval(&b.Rate) {
						return true
					}
				}
			}
		}
	}
	return false
}

// The modes of a kind.
const (
	modePeek      = iota // returns the state and charges nothing
	modeCharge           // charges, if all limits have room
	modeNever            // the cost is negative or above a burst: always denied
	modeHold             // holds the cost
	modeHoldLoans        // charges rates and holds loans
	modeLease            // charges, and holds a lease
	modeSettle           // ends a hold, or only charges
	modeRenew            // moves a hold to the long class
)

// modeOf returns the mode of a request. A cost that never fits is denied by Redis as well, so
// that the answer shows the debts.
func modeOf(r *store.Request) int {
	switch {
	case r.Cost == 0 && !leases(r):
		return modePeek
	case r.Cost < 0 || r.Least == 0 && neverFits(r.Limits, r.Cost):
		return modeNever
	case leases(r):
		return modeLease
	case r.Hold == nil:
		return modeCharge
	case r.Hold.Spend:
		return modeHoldLoans
	default:
		return modeHold
	}
}

// leases reports whether a request gets a lease if it is admitted and there is room.
func leases(r *store.Request) bool {
	return r.Hold != nil && r.Hold.Spend && r.Hold.Lease > 0 && !slices.ContainsFunc(r.Limits, func(l store.Limit) bool { return l.Loan() })
}

// neverFits reports whether a cost is above the burst of a limit.
func neverFits(limits []store.Limit, cost int) bool {
	for i := range limits {
		if l := &limits[i]; l.Tokens(cost) > l.Burst() {
			return true
		}
	}
	return false
}

func (b *batch) addKind(k kind) {
	b.args = append(b.args, k.mode, number(k.cost), number(k.least), len(k.limits))
	for i := range k.limits {
		limit := &k.limits[i]
		num, den := limit.Interval()
		capacity := limit.Capacity()
		var cost gcra.Debt
		if k.mode == modeCharge {
			cost, _ = limit.Cost(k.cost)
		}
		b.args = append(b.args, num, den, ending(num, den), limit.Burst(), capacity.Micros, capacity.Frac, cost.Micros, cost.Frac)
	}
}

// mostTokens is the largest number of tokens that the script counts exactly: two of the
// largest buckets.
const mostTokens = 2 * gcra.MaxBurst

// number returns a number of tokens as the script takes it.
func number(n int) int64 { return min(max(int64(n), -1), mostTokens) }

// ending returns the end of a value that was written under an interval: DEN:E:N, where a token
// takes N*10^E/DEN microseconds. The exponent keeps the value short.
func ending(num uint64, den uint32) string {
	e := 0
	for ; num > 0 && num%10 == 0; e++ {
		num /= 10
	}
	return strconv.FormatUint(uint64(den), 10) + ":" + strconv.Itoa(e) + ":" + strconv.FormatUint(num, 10)
}

// addRequest adds one request of the nth kind.
func (b *batch) addRequest(c *call, n int) {
	if c.mode >= modeSettle {
		b.args = append(b.args, n, number(c.held), number(c.actual))
		for i := range c.request.Limits {
			b.args = append(b.args, c.names[i])
		}
		return
	}
	if c.request.Known != nil {
		n = -n
	}
	b.args = append(b.args, n)
	if c.mode == modeLease {
		b.args = append(b.args, number(c.lease))
	}
	if c.request.Known == nil {
		return
	}
	for i := range c.request.Limits {
		limit, known := &c.request.Limits[i], c.request.Known[i]
		tat := known.TAT
		switch {
		case !limit.Same(tat): // it proves nothing about this interval
			known = store.Known{}
			tat = gcra.TAT{}
		case tat.Frac >= tat.Den, tat.Frac > 0 && tat.Den != limit.Denominator():
			tat.Micros, tat.Frac = tat.Micros+int64(min(tat.Den, 1)), 0
		}
		b.args = append(b.args, known.Debt.Micros, known.Debt.Frac, tat.Micros, tat.Frac, min(tat.Den, 1), known.Seen)
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

// outcomes gives the calls their outcomes in an answer, and returns the number of foreign
// values that they found in Redis. It takes nothing on trust: the limiter computes with these
// debts.
func (b *batch) outcomes(a answer) (foreign int64, err error) {
	now, _ := a.next()
	foreign, ok := a.next()
	if !ok || now <= 0 || foreign < 0 {
		return 0, errAnswer
	}
	for _, c := range b.parts {
		if !a.read(c) {
			return 0, errAnswer
		}
		c.decision.Now = now
	}
	if len(a) > 0 {
		return 0, errAnswer
	}
	return foreign, nil
}

// whole is the first number of the answer to a request with a bucket that is more than a TAT,
// or one less if the request is admitted.
const whole = -1 << 53

// read reads the outcome of one call. It returns false for one that cannot be.
func (a *answer) read(c *call) bool {
	if len(*a) > 0 && (*a)[0] <= whole+1 {
		return a.readWhole(c)
	}
	d := &c.decision
	if c.mode >= modeHold || c.request.Least != 0 {
		return false
	}
	for i := range c.request.Limits {
		limit := &c.request.Limits[i]
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
			return false
		}
		d.Debts[i] = debt
	}
	return true
}

// readWhole reads the longer form of an answer.
func (a *answer) readWhole(c *call) bool {
	d := &c.decision
	first, _ := a.next()
	d.Allowed = first > whole
	n, ok := a.next()
	switch {
	case !ok || n < 0 && d.Allowed:
		return false
	case c.mode >= modeSettle:
		c.lost = int(n)
	case c.request.Least > 0 && d.Allowed:
		if d.Granted = int(n); n == mostTokens {
			d.Granted = c.request.Cost // of a loan, which grants whatever is asked for
		}
		if d.Granted < c.request.Least || d.Granted > max(c.request.Cost, c.request.Least) {
			return false
		}
	}
	if c.mode == modeLease {
		n, _ := a.next()
		if n < 0 || n > number(c.lease) || n > 0 && !d.Allowed {
			return false
		}
		c.leased = int(n)
	}
	for i := range c.request.Limits {
		limit := &c.request.Limits[i]
		micros, _ := a.next()
		frac, _ := a.next()
		held, _ := a.next()
		name, ok := a.next()
		debt := gcra.Debt{Micros: micros, Frac: uint32(frac)}
		if !ok || micros < 0 || frac < 0 || frac >= int64(limit.Denominator()) || limit.Add(limit.Capacity(), limit.Capacity()).Less(debt) || held < 0 || name < 0 {
			return false
		}
		d.Debts[i], d.Held[i], c.names[i] = debt, int(held), name
	}
	return true
}
