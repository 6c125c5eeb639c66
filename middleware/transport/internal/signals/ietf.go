package signals

import (
	"cmp"
	"net/http"
	"time"
)

// This file is all that knows draft-ietf-httpapi-ratelimit-headers. Its versions
// say the same in three ways:
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

// readStates reads RateLimit, with what RateLimit-Policy says of the same limits, and
// then the limits of which there is only a policy.
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
	for i, s := range states {
		if s.key != "" {
			continue
		}
		l := f.blank()
		l.Name = s.value
		if n, ok := parseCount(s.param("r")); ok {
			l.Remaining = n
		}
		l.Reset, _ = c.read(s.param("t"), time.Second)
		owner := policyOf(policies, s.value, occurrences(states[:i], s.value))
		if owner >= 0 {
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

// occurrences returns how many of the states have the name.
func occurrences(states []member, name string) int {
	n := 0
	for _, s := range states {
		if s.key == "" && s.value == name {
			n++
		}
	}
	return n
}

// policyOf returns the policy of a name, or -1. Where there are several, as behind a
// proxy that has limits of its own, they stand in the order of the states.
func policyOf(policies []member, name string, number int) int {
	found := -1
	for i, p := range policies {
		if p.key == "" && (p.value == name || p.names(name)) {
			if found = i; number == 0 {
				break
			}
			number--
		}
	}
	return found
}

// pairRest gives states the policies that are left over, in their order: where the names
// of both do not match, they do not say what they should. A policy that a state does not
// fit, because it has more left or takes longer, is that of another limit.
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

// apply takes over what a policy says of l. It returns false if that is a quota of 0,
// which says nothing about a rate.
func (l *Limit) apply(p member) bool {
	n, ok := p.quota()
	l.Quota, l.Window = n, cmp.Or(p.window(), l.Window)
	if unit := p.param("qu"); unit != "" && unit != "requests" {
		l.Unit = unit
	}
	return !ok || n > 0
}

// quota returns the quota of a policy: "a";q=5, or in version 07 5;w=1.
func (m member) quota() (int, bool) {
	if n, ok := parseCount(m.param("q")); ok {
		return n, true
	}
	return parseCount(m.value)
}

// readPolicies reads the limits of which there are only policies.
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

// readDictionary reads the form of version 07, also with semicolons for the commas. A
// key that comes again begins another limit.
func (f *family) readDictionary(states, policies []member, c clock) []Limit {
	var found []Limit
	var set map[string]string
	finish := func() {
		l := f.blank()
		n, limited := parseCount(set["limit"])
		if limited && n == 0 {
			return
		}
		l.Quota, l.Window = n, cmp.Or(windowOf(policies, n), l.Window)
		if n, ok := parseCount(set["remaining"]); ok {
			l.Remaining = n
		}
		l.Reset, _ = c.read(set["reset"], time.Second)
		if l.Quota > 0 || l.Remaining != Unknown {
			found = add(found, l)
		}
	}
	note := func(key, value string) {
		switch key {
		case "total": // Zendesk
			key = "limit"
		case "resets":
			key = "reset"
		case "limit", "remaining", "reset":
		default:
			return
		}
		if value == "" {
			return
		}
		if _, again := set[key]; again || set == nil {
			finish()
			set = make(map[string]string)
		}
		set[key] = value
	}
	for _, s := range states {
		if s.key == "" {
			continue
		}
		note(s.key, s.value)
		for _, key := range []string{"limit", "total", "remaining", "reset", "resets"} {
			note(key, s.param(key))
		}
	}
	finish()
	return found
}

// windowOf returns the window of the policy with the given quota, "5;w=1", 0 if
// there is none.
func windowOf(policies []member, quota int) time.Duration {
	for _, p := range policies {
		if n, ok := p.quota(); ok && n == quota {
			if w := p.window(); w > 0 {
				return w
			}
		}
	}
	return 0
}
