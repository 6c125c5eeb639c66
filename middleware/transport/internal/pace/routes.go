package pace

import (
	"cmp"
	"container/list"
	"slices"
)

// A Route stands for requests that most likely count against the same limits.
type Route uint64

// maxRoutes is how many routes a pace remembers.
const maxRoutes = 256

// routes are what a pace knows of which limits answer for which route. A route of which
// nothing is known goes by those limits that most routes have.
type routes struct {
	byKey map[Route]*route
	order list.List // of *route, the one that was learned last in front
	sets  []*limitSet
	rest  *limitSet // for routes that are not known; nil if there is none
}

type route struct {
	key    Route
	set    *limitSet
	newest uint64 // the number of the request that told it
	place  *list.Element
}

// A limitSet is the limits that hold some routes. There is one for all routes with the
// same limits, and their requests wait in one line.
type limitSet struct {
	lanes  []*lane // in the order of their ids
	routes int
}

// all returns the limits of a set, which may be nil.
func (s *limitSet) all() []*lane {
	if s == nil {
		return nil
	}
	return s.lanes
}

func (s *limitSet) has(l *lane) bool { return s != nil && slices.Contains(s.lanes, l) }

// of returns the limits of a route; nil if there are none.
func (rs *routes) of(key Route) *limitSet {
	if r := rs.byKey[key]; r != nil {
		return r.set
	}
	return rs.rest
}

// learn notes which limits the response to a request of a route told, none if it has
// none any more. It returns false if that was known.
func (rs *routes) learn(key Route, lanes []*lane, number uint64) bool {
	r := rs.byKey[key]
	slices.SortFunc(lanes, func(a, b *lane) int { return cmp.Compare(a.id, b.id) })
	switch {
	case r == nil && len(lanes) == 0, r != nil && number < r.newest: // a newer one has told already
		return false
	case r != nil && slices.Equal(r.set.lanes, lanes):
		r.newest = number
		rs.order.MoveToFront(r.place)
		return false
	case r != nil:
		rs.remove(r)
	case len(rs.byKey) >= maxRoutes:
		rs.remove(rs.order.Back().Value.(*route)) //nolint:errcheck,forcetypeassert // nothing else is put there
	}
	if len(lanes) > 0 {
		rs.put(&route{key: key, set: rs.setOf(lanes), newest: number})
	}
	rs.tally()
	return true
}

func (rs *routes) put(r *route) {
	if rs.byKey == nil {
		rs.byKey = make(map[Route]*route)
	}
	rs.byKey[r.key], r.place = r, rs.order.PushFront(r)
	r.set.count(1)
}

func (rs *routes) remove(r *route) {
	rs.order.Remove(r.place)
	delete(rs.byKey, r.key)
	r.set.count(-1)
}

func (s *limitSet) count(n int) {
	s.routes += n
	for _, l := range s.lanes {
		l.routes += n
	}
}

// drop drops limits from all routes.
func (rs *routes) drop(gone func(*lane) bool) {
	for e := rs.order.Back(); e != nil; {
		r := e.Value.(*route) //nolint:errcheck,forcetypeassert // nothing else is put there
		if e = e.Prev(); slices.ContainsFunc(r.set.lanes, gone) {
			rs.learn(r.key, slices.DeleteFunc(slices.Clone(r.set.lanes), gone), r.newest)
		}
	}
}

// tally finds the limits that most routes have.
func (rs *routes) tally() {
	most := 0
	var lanes []*lane
	for _, s := range rs.sets {
		for _, l := range s.lanes {
			switch {
			case l.routes > most:
				most, lanes = l.routes, []*lane{l}
			case l.routes == most && most > 0 && !slices.Contains(lanes, l):
				lanes = append(lanes, l)
			}
		}
	}
	slices.SortFunc(lanes, func(a, b *lane) int { return cmp.Compare(a.id, b.id) })
	if rs.rest == nil || !slices.Equal(rs.rest.lanes, lanes) {
		if rs.rest = nil; len(lanes) > 0 {
			rs.rest = rs.setOf(lanes)
		}
	}
	rs.sets = slices.DeleteFunc(rs.sets, func(s *limitSet) bool { return s.routes == 0 && s != rs.rest })
}

// setOf returns the set of these limits.
func (rs *routes) setOf(lanes []*lane) *limitSet {
	for _, s := range rs.sets {
		if slices.Equal(s.lanes, lanes) {
			return s
		}
	}
	s := &limitSet{lanes: lanes}
	rs.sets = append(rs.sets, s)
	return s
}
