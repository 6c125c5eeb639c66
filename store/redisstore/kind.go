package redisstore

import (
	"slices"
	"strconv"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/store"
)

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

// whole reports whether no debt of the limits has a fraction.
func (k kind) whole() bool {
	return !slices.ContainsFunc(k.limits, func(l store.Limit) bool { return l.Denominator() > 1 })
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
