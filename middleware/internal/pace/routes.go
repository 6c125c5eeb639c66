package pace

import (
	"cmp"
	"maps"
	"slices"
)

// A Route stands for requests that most likely count against the same limits.
type Route uint64

// maxRoutes is how many routes a pace remembers.
const maxRoutes = 256

// routes are the limits of the routes of a pace. An unknown route has the limits that most
// routes have.
type routes struct {
	byKey map[Route]*route
	sets  []*limitSet
	rest  *limitSet // of unknown routes; nil if there is none
}

type route struct {
	key    Route
	set    *limitSet
	newest uint64 // the attempt whose response reported the set
}

// A limitSet is the limits that hold some routes. Routes with the same limits share one,
// and their requests wait in one queue.
type limitSet struct {
	limiters []*limiter // in the order of their ids
	routes   int
}

// all returns the limiters of a set, which may be nil.
func (s *limitSet) all() []*limiter {
	if s == nil {
		return nil
	}
	return s.limiters
}

func (s *limitSet) has(l *limiter) bool { return slices.Contains(s.all(), l) }

// count adds n to the routes of a set and its limiters.
func (s *limitSet) count(n int) {
	s.routes += n
	for _, l := range s.limiters {
		l.routes += n
	}
}

// of returns the limits of a route; nil if there are none.
func (rs *routes) of(key Route) *limitSet {
	if r := rs.byKey[key]; r != nil {
		return r.set
	}
	return rs.rest
}

// learn notes the limits that the response to an attempt reported, none if its route has
// none any more. It returns false if nothing changes.
func (rs *routes) learn(key Route, limiters []*limiter, number uint64) bool {
	r := rs.byKey[key]
	sortByID(limiters)
	switch {
	case r == nil && len(limiters) == 0, r != nil && number < r.newest:
		return false
	case r != nil && slices.Equal(r.set.limiters, limiters):
		r.newest = number
		return false
	case r != nil:
		rs.remove(r)
	case len(rs.byKey) >= maxRoutes:
		rs.remove(slices.MinFunc(slices.Collect(maps.Values(rs.byKey)), func(a, b *route) int { return cmp.Compare(a.newest, b.newest) }))
	}
	if len(limiters) > 0 {
		if rs.byKey == nil {
			rs.byKey = make(map[Route]*route)
		}
		rs.byKey[key] = &route{key: key, set: rs.setOf(limiters), newest: number}
		rs.byKey[key].set.count(1)
	}
	rs.findRest()
	return true
}

func sortByID(limiters []*limiter) {
	slices.SortFunc(limiters, func(a, b *limiter) int { return cmp.Compare(a.id, b.id) })
}

func (rs *routes) remove(r *route) {
	delete(rs.byKey, r.key)
	r.set.count(-1)
}

// drop drops limiters from all routes.
func (rs *routes) drop(gone func(*limiter) bool) {
	for _, r := range slices.Collect(maps.Values(rs.byKey)) {
		if slices.ContainsFunc(r.set.limiters, gone) {
			rs.learn(r.key, slices.DeleteFunc(slices.Clone(r.set.limiters), gone), r.newest)
		}
	}
}

// findRest finds the limits that most routes have.
func (rs *routes) findRest() {
	most := 0
	var limiters []*limiter
	for _, s := range rs.sets {
		for _, l := range s.limiters {
			switch {
			case l.routes > most:
				most, limiters = l.routes, []*limiter{l}
			case l.routes == most && most > 0 && !slices.Contains(limiters, l):
				limiters = append(limiters, l)
			}
		}
	}
	sortByID(limiters)
	if !slices.Equal(rs.rest.all(), limiters) {
		if rs.rest = nil; len(limiters) > 0 {
			rs.rest = rs.setOf(limiters)
		}
	}
	rs.sets = slices.DeleteFunc(rs.sets, func(s *limitSet) bool { return s.routes == 0 && s != rs.rest })
}

// setOf returns the set of these limiters.
func (rs *routes) setOf(limiters []*limiter) *limitSet {
	for _, s := range rs.sets {
		if slices.Equal(s.limiters, limiters) {
			return s
		}
	}
	s := &limitSet{limiters: limiters}
	rs.sets = append(rs.sets, s)
	return s
}
