package signals

import (
	"cmp"
	"time"
)

// add adds a limit to others. A limit of the same name and unit is the same one, reported
// by two servers: the tighter counts, with its own quota. A limit with the same numbers is
// the same one in another form, and one form may report what the other omits.
func add(limits []Limit, l Limit) []Limit {
	for i := range limits {
		is := &limits[i]
		switch {
		case is.Unit != l.Unit:
		case is.same(l):
			is.complete(l)
			return limits
		case is.Name == l.Name:
			if l.tighter(*is) {
				*is = l
			}
			return limits
		}
	}
	if len(limits) == maxLimits {
		return limits
	}
	return append(limits, l)
}

// same reports whether the numbers of two limits show that they are one.
func (l Limit) same(o Limit) bool {
	return l.Quota > 0 && l.Quota == o.Quota && l.Remaining != Unknown && l.Remaining == o.Remaining &&
		(l.Name == "" || o.Name == "" || l.Name == o.Name) &&
		(l.Window == 0 || o.Window == 0 || l.Window == o.Window) &&
		(l.Reset == 0 || o.Reset == 0 || (l.Reset-o.Reset).Abs() < 2*time.Second)
}

// complete takes from o what is unknown of l.
func (l *Limit) complete(o Limit) {
	l.Name = cmp.Or(l.Name, o.Name)
	l.Window = cmp.Or(l.Window, o.Window)
	l.Reset = cmp.Or(l.Reset, o.Reset)
	if l.Refill == 0 && o.Refill > 0 {
		l.Refills, l.Refill, l.Window = true, o.Refill, o.Window
	}
}

// tighter reports whether less remains of l than of o or, if that is equal, whether it
// takes longer until there is more.
func (l Limit) tighter(o Limit) bool {
	left := func(l Limit) uint { return uint(l.Remaining) } // Unknown is the largest
	rate := func(l Limit) float64 {
		if l.Window == 0 {
			return float64(MaxCount)
		}
		return float64(cmp.Or(l.Refill, l.Quota)) / l.Window.Seconds()
	}
	return cmp.Or(cmp.Compare(left(l), left(o)), cmp.Compare(o.Reset, l.Reset), cmp.Compare(rate(l), rate(o))) < 0
}

// worth reports how much one form of a limit says: 2 that it denies, 1 how many there are,
// 0 only when it ends.
func worth(limits []Limit) int {
	most := 0
	for _, l := range limits {
		switch {
		case l.Remaining == 0 && (l.Quota > 0 || l.Reset > 0):
			return 2
		case l.Remaining != Unknown || l.Quota > 0:
			most = 1
		}
	}
	return most
}
