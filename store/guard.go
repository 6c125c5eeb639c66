package store

import (
	"context"
	"errors"
	"reflect"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

// Guard returns s for callers that must not be brought down by it: a call ends in time if s
// heeds its context, a panic becomes an error of [ClassPanic], and an answer that cannot
// be right one of [ClassWrong], as is a settlement of [Request.Release] that the store ignores. All errors are of type [*Error] and do not hold the key. A
// store that is [SelfTimed] is returned as it is, unless it only embeds a [SingleTaker] or
// [LeaseTaker] that is.
func Guard(s Store) Store {
	_, selfTimed := s.(SelfTimed)
	if fast, ok := s.(interface{ Self() Store }); ok && selfTimed {
		var self Store
		_ = Try(func() { self = fast.Self() }) // what it embeds may be nil
		selfTimed = Same(self, s)              // else it embeds the store that is
	}
	if selfTimed {
		return s
	}
	return guarded{s}
}

// Same reports whether two stores are one. Stores that cannot be compared are not.
func Same(a, b Store) bool {
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

type guarded struct{ store Store }

func (g guarded) Take(ctx context.Context, r Request) (d Decision, err error) {
	if n := len(r.Limits); n == 0 || n > MaxLimits {
		failed := &Error{Class: ClassOther, Err: errLimits, NotCharged: true}
		fail(r.Release, failed)
		return d, failed
	}
	if len(r.Release) > 0 {
		return g.release(ctx, r)
	}
	return g.take(ctx, r)
}

func (g guarded) take(ctx context.Context, r Request) (d Decision, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	if r.Hold != nil {
		r.Hold.Leased = 0
	}
	if p := Try(func() { d, err = g.store.Take(ctx, r) }); p != nil {
		return d, &Error{Class: ClassPanic, Err: p}
	}
	switch {
	case err != nil:
		return d, NewError(err, r.Key)
	case !d.possible(&r):
		return d, &Error{Class: ClassWrong, Err: errors.New("it answered with debts that do not go with its decision")}
	}
	return d, nil
}

// release is take for a request with settlements.
func (g guarded) release(ctx context.Context, r Request) (d Decision, err error) {
	if !g.Holds() {
		fail(r.Release, errNoHolder)
		r.Release = nil
		return g.take(ctx, r)
	}
	for i := range r.Release {
		r.Release[i].Now, r.Release[i].Err = 0, nil
	}
	d, err = g.take(ctx, r)
	for i := range r.Release {
		switch s := &r.Release[i]; {
		case s.Err != nil || s.Now > 0:
			s.check()
		case err != nil:
			s.Err = err
		default:
			s.Err = &Error{Class: ClassWrong, Err: errors.New("it ignored a settlement that came with a request")}
		}
	}
	return d, err
}

// fail sets the error of settlements that are not made.
func fail(all []Settlement, err error) {
	for i := range all {
		all[i].Err = err
	}
}

var errLimits = errors.New("a request must have 1 to 4 limits")

func (g guarded) Reset(ctx context.Context, r Request) (err error) {
	if p := Try(func() { err = g.store.Reset(ctx, r) }); p != nil {
		return &Error{Class: ClassPanic, Err: p}
	}
	if err != nil {
		return NewError(err, r.Key)
	}
	return nil
}

// Settle implements [Holder].
func (g guarded) Settle(ctx context.Context, all []Settlement) {
	holder, ok := g.store.(Holder)
	if !ok {
		fail(all, errNoHolder)
		return
	}
	if p := Try(func() { holder.Settle(ctx, all) }); p != nil {
		fail(all, &Error{Class: ClassPanic, Err: p})
	}
	for i := range all {
		all[i].check()
	}
}

// Holds implements [Holder].
func (g guarded) Holds() bool { return CanHold(g.store) }

var errNoHolder = &Error{Class: ClassOther, Err: errors.New("the store cannot hold tokens"), NotCharged: true}

// check makes the error of a settlement one that does not show the key, and sets one if the
// results cannot be right.
func (s *Settlement) check() {
	if s.Err != nil {
		s.Err = NewError(s.Err, s.Key)
	} else if !s.possible() {
		s.Err = &Error{Class: ClassWrong, Err: errors.New("it settled with debts that the limits cannot have")}
	}
}

// possible reports whether the limits can have the debts that s reports: at most twice their
// capacity.
func (s *Settlement) possible() bool {
	for i := range s.Limits {
		l, debt := &s.Limits[i], s.Debts[i]
		if debt.Micros < 0 || debt.Frac >= l.Denominator() || l.Add(l.Capacity(), l.Capacity()).Less(debt) {
			return false
		}
	}
	return s.Lost >= 0
}

// possible reports whether d can be the answer to r: its debts are ones that the limits
// can have, an admitted call was charged to each limit, and a denied one had no room in
// at least one. Only an admitted call has a lease, of what it asked for at most.
func (d *Decision) possible(r *Request) bool {
	denying := 0
	cost, holds := r.Cost, r.Hold != nil
	if holds && (r.Hold.Leased < 0 || r.Hold.Leased > 0 && (!d.Allowed || r.Hold.Leased > r.Hold.Lease)) {
		return false
	}
	if r.Least > 0 && d.Allowed {
		if cost = d.Granted; cost < r.Least || cost > max(r.Cost, r.Least) {
			return false
		}
	} else if r.Least > 0 {
		cost = r.Least
	}
	for i := range r.Limits {
		l, debt, held := &r.Limits[i], d.Debts[i], d.Held[i]
		if debt.Micros < 0 || debt.Frac >= l.Denominator() || l.Add(l.Capacity(), l.Capacity()).Less(debt) || held < 0 {
			return false
		}
		n := l.Tokens(cost)
		price, ok := l.Cost(n)
		spends := !l.Loan() && (!holds || r.Hold.Spend)
		if d.Allowed && (!ok || !l.Fits(debt) || spends && debt.Less(price) || !spends && held < n || spends && holds && held < r.Hold.Leased) {
			return false
		}
		if !ok || l.Remaining(debt)-held < n {
			denying++
		}
	}
	wait := d.RetryAfter
	return (d.Allowed || denying > 0) && wait >= 0 && (wait <= gcra.MaxRefill || wait == gcra.Never)
}

// IsNil reports whether v is nil, or an interface that holds a nil pointer, function or
// map.
func IsNil(v any) bool {
	if v == nil {
		return true
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Interface:
		return r.IsNil()
	default:
		return false
	}
}
