package signals

import (
	"cmp"
	"slices"
	"time"
)

// dictionaryKeys are the keys of version 07 of the IETF's draft, and Zendesk's for them.
var dictionaryKeys = []string{"limit", "total", "remaining", "reset", "resets"}

// readDictionary reads RateLimit in the form of version 07, also with semicolons for the
// commas. A key that comes again begins another limit.
func (f *family) readDictionary(states, policies []member, c clock) []Limit {
	var found []Limit
	set := make(map[string]string)
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
		if value == "" || !slices.Contains(dictionaryKeys, key) {
			return
		}
		switch key {
		case "total":
			key = "limit"
		case "resets":
			key = "reset"
		}
		if _, again := set[key]; again {
			finish()
			clear(set)
		}
		set[key] = value
	}
	for _, s := range states {
		if s.key == "" {
			continue
		}
		note(s.key, s.value)
		for _, key := range dictionaryKeys {
			note(key, s.param(key))
		}
	}
	finish()
	return found
}
