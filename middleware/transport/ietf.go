package transport

import (
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

// readRateLimit reads RateLimit and RateLimit-Policy.
func readRateLimit(h http.Header, _ clock) []Limit {
	policies := members(h, "RateLimit-Policy")
	states := members(h, "RateLimit")
	if l, ok := dictionary(states, policies); ok {
		return []Limit{l}
	}
	var limits []Limit
	for _, s := range states {
		if s.key != "" {
			continue
		}
		l := Limit{Name: s.value, Remaining: Unknown}
		if n, ok := parseCount(s.params["r"]); ok {
			l.Remaining = n
		}
		l.Reset, _ = parseSeconds(s.params["t"])
		for _, p := range policies {
			if p.key == "" && p.value == s.value {
				l.apply(p)
				break
			}
		}
		if l.Remaining != Unknown || l.Quota > 0 {
			limits = append(limits, l)
		}
	}
	for _, p := range policies {
		l := Limit{Name: p.value, Remaining: Unknown}
		l.apply(p)
		if p.key == "" && l.Quota > 0 && len(limits) < maxLimits && !named(limits, l.Name) {
			limits = append(limits, l)
		}
	}
	return limits
}

// apply takes over what a policy says of l.
func (l *Limit) apply(p member) {
	l.Quota, _ = parseCount(p.params["q"])
	l.Window, _ = parseSeconds(p.params["w"])
	if unit := p.params["qu"]; unit != "requests" {
		l.Unit = unit
	}
}

func named(limits []Limit, name string) bool {
	for _, l := range limits {
		if l.Name == name {
			return true
		}
	}
	return false
}

// dictionary reads the form of version 07.
func dictionary(states, policies []member) (Limit, bool) {
	l := Limit{Remaining: Unknown}
	for _, s := range states {
		switch s.key {
		case "limit":
			l.Quota, _ = parseCount(s.value)
		case "remaining":
			if n, ok := parseCount(s.value); ok {
				l.Remaining = n
			}
		case "reset":
			l.Reset, _ = parseSeconds(s.value)
		}
	}
	l.Window = windowOf(policies, l.Quota)
	return l, l.Quota > 0 || l.Remaining != Unknown
}

// windowOf returns the window of the policy with the given quota, "5;w=1", 0 if
// there is none.
func windowOf(policies []member, quota int) time.Duration {
	for _, p := range policies {
		if n, ok := parseCount(p.value); ok && n == quota {
			if w, ok := parseSeconds(p.params["w"]); ok {
				return w
			}
		}
	}
	return 0
}

// readSplit reads RateLimit-Limit, -Remaining and -Reset.
func readSplit(h http.Header, c clock) []Limit {
	l, ok := readTriple(h, c, "RateLimit-", "")
	if !ok {
		return nil
	}
	if l.Window == 0 {
		l.Window = windowOf(members(h, "RateLimit-Policy"), l.Quota)
	}
	return []Limit{l}
}

// readTriple reads the three headers of one limit. The suffix names what is counted.
func readTriple(h http.Header, c clock, prefix, suffix string) (Limit, bool) {
	l := Limit{Remaining: Unknown}
	if listed := members(h, prefix+"Limit"+suffix); len(listed) > 0 {
		if n, ok := parseCount(listed[0].value); ok {
			l.Quota = n
			l.Window = windowOf(listed, n)
		} else if d, ok := parseDuration(listed[0].value); ok {
			l.Window = d
		}
	}
	if n, ok := parseCount(h.Get(prefix + "Remaining" + suffix)); ok {
		l.Remaining = n
	}
	l.Reset = c.parseReset(h.Get(prefix + "Reset" + suffix))
	return l, l.Quota > 0 || l.Remaining != Unknown
}
