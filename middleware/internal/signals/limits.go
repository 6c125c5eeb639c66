// Package signals reads from the headers of a response which limits of an API it reports,
// and from its status whether it is a denial.
//
// [Parse] looks up the headers in a table of dialects. The rows that speak of one limit
// form a family. All families read their members, counts, durations, dates and Unix times
// in all forms in use. A file calls down this list, never up:
//
//	limits.go, denial.go              what a response reports
//	counts.go, ietf.go, dictionary.go,
//	vendorforms.go                    the forms of a limit
//	values.go                         the values of a family's headers
//	table.go, dialects.go, vendors.go which headers those are
//	merge.go                          several reports of one limit
//	policy.go                         a member of a quota policy
//	clock.go                          the time until an instant
//	field.go, duration.go, date.go, number.go
package signals

import (
	"net/http"
	"slices"
	"time"
)

// Limits is what a response reports. The zero value reports nothing.
type Limits struct {
	RetryAfter time.Duration
	All        []Limit
}

// A Limit is one limit of an API. The package transport documents its fields.
type Limit struct {
	Name      string
	Unit      string
	Quota     int
	Window    time.Duration
	Remaining int
	Reset     time.Duration
	Refills   bool
	Refill    int
}

// Unknown is the Remaining of a limit for which it is not known.
const Unknown = -1

// maxLimits is how many limits are read from one response: more than any API has.
const maxLimits = 16

// Parse reads the limits from the headers of a response that arrived now. Most responses
// report nothing: then it looks up their headers, and no more.
func Parse(h http.Header, now time.Time) Limits {
	var seen [maxFamilies]bool
	known := false
	for name := range h {
		if i, ok := spoken.index[name]; ok {
			seen[i], known = true, true
		}
	}
	if !known || stored(h) {
		return Limits{}
	}
	c := clockOf(h, now)
	l := Limits{RetryAfter: spoken.families[waits].wait(h, c)}
	best := -1
	for i := range spoken.families {
		if i == waits || !seen[i] {
			continue
		}
		f := &spoken.families[i]
		found := f.read(h, c)
		if f.common && len(found) > 0 {
			n := worth(found)
			if n <= best {
				continue
			}
			if best == 0 {
				l.All = nil // only the end of something that is now known better
			}
			best = n
		}
		for _, limit := range found {
			l.All = add(l.All, limit)
		}
	}
	return l
}

// stored reports whether a cache sent the response.
func stored(h http.Header) bool {
	return slices.ContainsFunc(members(h["Age"]), func(m member) bool {
		age, ok := parseCount(m.value)
		return ok && age > 0
	})
}

// wait returns how long the response asks to wait, in the first form that is valid.
func (f *family) wait(h http.Header, c clock) time.Duration {
	for _, form := range waitForms {
		for _, name := range f.names[form.role] {
			if d := slices.Max(append(times(h[name], c, form.unit), 0)); d > 0 {
				return d
			}
		}
	}
	return 0
}

// read reads the limits of a family that has headers in the response.
func (f *family) read(h http.Header, c clock) []Limit {
	switch {
	case len(f.names[pairs]) > 0:
		return f.readPairs(h, c)
	case len(f.names[ratio]) > 0:
		return f.readRatio(h)
	}
	policies := f.members(h, policies)
	if found := f.readStates(h, policies, c); len(found) > 0 {
		return found
	}
	if l, ok := f.readJSON(h, c); ok {
		return []Limit{l}
	}
	listed := f.members(h, quota)
	if l, ok := f.readCounts(h, c, listed, policies); ok {
		return []Limit{l}
	}
	if len(listed) > 0 {
		return nil // a limit that says nothing
	}
	return f.readPolicies(policies)
}

// Requests returns the limits that count requests and report more than their end: those
// that a pace can follow.
func (l Limits) Requests() []Limit {
	var found []Limit
	for _, limit := range l.All {
		if limit.Unit == "" && (limit.Quota > 0 || limit.Remaining != Unknown) {
			found = append(found, limit)
		}
	}
	return found
}

// Next returns the time until the first of what is used up comes back, 0 if unknown.
func (l Limit) Next() time.Duration {
	switch {
	case l.Refill > 0:
		return l.Window / time.Duration(l.Refill)
	case l.Refills && l.Quota > 0:
		// In a bucket it comes back much sooner than all of them; but some servers report
		// the reset of a fixed window in this form, and a second is cheap.
		return max(l.Reset/time.Duration(l.Quota), min(l.Reset, time.Second))
	}
	return l.Reset
}
