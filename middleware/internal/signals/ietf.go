package signals

import (
	"cmp"
	"net/http"
	"time"
)

// This file and dictionary.go read draft-ietf-httpapi-ratelimit-headers. Its versions say
// the same in three ways; counts.go reads the last one:
//
//	RateLimit-Policy: "default";q=5;w=1            11
//	RateLimit: "default";r=4;t=1
//
//	RateLimit-Policy: 5;w=1                        07
//	RateLimit: limit=5, remaining=4, reset=1
//
//	RateLimit-Limit: 5, 5;w=1                      06 and before
//	RateLimit-Remaining: 4
//	RateLimit-Reset: 1

// readStates reads RateLimit with the policies of the same limits, and then the policies
// without a state.
func (f *family) readStates(h http.Header, policies []member, c clock) []Limit {
	states := f.members(h, states)
	if len(states) == 0 {
		return nil
	}
	if found := f.readDictionary(states, policies, c); len(found) > 0 {
		return found
	}
	var limits []Limit
	var owners []int // the policy of each limit, or -1
	claimed := make([]bool, len(policies))
	seen := make(map[string]int) // how many states have a name
	for _, s := range states {
		if s.key != "" {
			continue
		}
		l := f.blank()
		l.Name = s.value
		if n, ok := parseCount(s.param("r")); ok {
			l.Remaining = n
		}
		l.Reset, _ = c.read(s.param("t"), time.Second)
		owner := policyOf(policies, s.value, seen[s.value])
		if seen[s.value]++; owner >= 0 {
			claimed[owner] = true
		}
		limits, owners = append(limits, l), append(owners, owner)
	}
	pairRest(limits, owners, policies, claimed)
	var found []Limit
	for i, l := range limits {
		if owners[i] >= 0 && !l.apply(policies[owners[i]]) {
			continue // a quota of 0
		}
		if l.Remaining != Unknown || l.Quota > 0 {
			found = add(found, l)
		}
	}
	for i, p := range policies {
		if l := f.blank(); !claimed[i] && p.key == "" {
			if l.Name = p.value; l.apply(p) && l.Quota > 0 {
				found = add(found, l)
			}
		}
	}
	return found
}

// policyOf returns the index of the policy of a name, or -1. If there are several, as
// behind a proxy with limits of its own, they are in the order of the states.
func policyOf(policies []member, name string, number int) int {
	found := -1
	for i, p := range policies {
		if p.key == "" && p.named(name) {
			if found = i; number == 0 {
				break
			}
			number--
		}
	}
	return found
}

// pairRest gives the other states the unclaimed policies, in their order: if no names match,
// the server sends other names than it should. A policy that a state does not fit, because
// more remains or its reset is later, is that of another limit.
func pairRest(limits []Limit, owners []int, policies []member, claimed []bool) {
	for i, l := range limits {
		for n, p := range policies {
			if owners[i] >= 0 || claimed[n] || p.key != "" {
				continue
			}
			var of Limit
			if of.apply(p) && l.Remaining <= of.Quota && (of.Window == 0 || l.Reset <= of.Window) {
				owners[i], claimed[n] = n, true
			}
		}
	}
}

// apply takes over a policy of l. It returns false if its quota is 0, which says nothing
// about a rate.
func (l *Limit) apply(p member) bool {
	n, ok := p.quota()
	l.Quota, l.Window = n, cmp.Or(p.window(), l.Window)
	if unit := p.param("qu"); unit != "" && unit != "requests" {
		l.Unit = unit
	}
	return !ok || n > 0
}

// readPolicies reads policies without states.
func (f *family) readPolicies(policies []member) []Limit {
	var found []Limit
	for _, p := range policies {
		l := f.blank()
		if _, old := parseCount(p.value); !old {
			l.Name = p.value
		}
		if l.apply(p) && l.Quota > 0 && p.key == "" {
			found = add(found, l)
		}
	}
	return found
}
