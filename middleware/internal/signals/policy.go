package signals

import (
	"strings"
	"time"
)

// This file reads a member as a quota policy: "a";q=5;w=1 or, in version 07 of the IETF's
// draft and before, 5;w=1.

// quota returns the quota of a policy.
func (m member) quota() (int, bool) {
	if n, ok := parseCount(m.param("q")); ok {
		return n, true
	}
	return parseCount(m.value)
}

// window returns the window of a policy, 0 if there is none. "window" is the name of the
// parameter in draft-ietf-httpapi-ratelimit-headers-00.
func (m member) window() time.Duration {
	for _, name := range []string{"w", "window"} {
		if d, ok := parsePeriod(m.param(name), time.Second); ok {
			return m.exact(d)
		}
	}
	return 0
}

// exact returns a window as keyrate's own parameter states it, if that rounds to window.
func (m member) exact(window time.Duration) time.Duration {
	n, ok := parseCount(m.param("keyrate-window-us"))
	if d := time.Duration(n) * time.Microsecond; ok && d > 0 && d < window && window-d < time.Second {
		return d
	}
	return window
}

// named reports whether a policy has a name, as its value or among its parameters, where
// some servers send it: `"fixed window";"api";q=500;w=300`.
func (m member) named(name string) bool {
	if m.value == name {
		return true
	}
	for part := range split(m.params, ';') {
		if part = strings.Trim(part, " \t"); strings.HasPrefix(part, `"`) {
			if text, ok := unquote(part); ok && text == name {
				return true
			}
		}
	}
	return false
}

// windowOf returns the window of the policy with a quota, 0 if there is none.
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
