package signals

import (
	"net/http"
	"slices"
	"time"
)

// Limits is what a response reports of the limits of an API. The zero value is a
// response that reports nothing.
type Limits struct {
	// RetryAfter is how long the response asks to wait, 0 if it does not. It is at most
	// a year, and it may stand in a response of any status.
	RetryAfter time.Duration
	// All has the limits in the order in which they were sent, at most 16, and no two
	// of one name and unit. Where a server lists several, the first is usually the one
	// that decides.
	All []Limit
}

// A Limit is one limit of an API, as a response reports it.
type Limit struct {
	// Name is what the server calls the limit: the name of its policy, GitHub's
	// resource, Discord's bucket, "requests" or "tokens", "second" or "daily"; often "".
	Name string
	// Unit is what is counted. "" means requests.
	Unit string
	// Quota is how many of the unit there are in a window, or in a full bucket. 0
	// means that it is not known.
	Quota int
	// Window is the time for which Quota holds; with Refill, the time in which that
	// many come back. 0 means that it is not known.
	Window time.Duration
	// Remaining is how many are left, or [Unknown].
	Remaining int
	// Reset is the time until the window ends or, with Refills, until the bucket is
	// full. 0 means that it is not known, or over.
	Reset time.Duration
	// Refills reports that the limit is said to be a bucket which fills up all the time
	// and is full after Reset, as with OpenAI and Anthropic. Not every server that says
	// so behaves so.
	Refills bool
	// Refill is how many come back in each Window, for a bucket whose size is not its
	// rate: Confluence's holds 10 and gets 2 a minute. 0 means Quota. A limit with a
	// Refill has a Window, and Refills.
	Refill int
}

// Unknown is the Remaining of a limit for which it is not known.
const Unknown = -1

// maxLimits is how many limits are read from one response: more than anybody has.
const maxLimits = 16

// Parse reads the limits from the headers of a response that arrived now.
//
// Most responses report nothing: their headers are looked up, and no more.
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
			switch n := worth(found); {
			case n <= best:
				continue
			case best == 0:
				l.All = nil // only the end of something that is now known better
				fallthrough
			default:
				best = n
			}
		}
		for _, limit := range found {
			l.All = add(l.All, limit)
		}
	}
	return l
}

// stored reports whether a cache sent the response.
func stored(h http.Header) bool {
	for _, m := range members(h["Age"]) {
		if age, ok := parseCount(m.value); ok && age > 0 {
			return true
		}
	}
	return false
}

// wait returns how long the response asks to wait, in the first form that makes sense.
func (f *family) wait(h http.Header, c clock) time.Duration {
	for _, form := range []struct {
		as   role
		unit time.Duration
	}{{waitMs, time.Millisecond}, {waitFor, time.Second}} {
		for _, name := range f.names[form.as] {
			if d := slices.Max(append(times(h[name], c, form.unit), 0)); d > 0 {
				return d
			}
		}
	}
	return 0
}

// Requests returns the limits that count requests, and of which more is known than when
// they end: those that a pace can heed.
func (l Limits) Requests() []Limit {
	var found []Limit
	for _, limit := range l.All {
		if limit.Unit == "" && (limit.Quota > 0 || limit.Remaining != Unknown) {
			found = append(found, limit)
		}
	}
	return found
}

// Next returns the time until the first of what is used up comes back, 0 if it is not
// known.
func (l Limit) Next() time.Duration {
	switch {
	case l.Refill > 0:
		return l.Window / time.Duration(l.Refill)
	case l.Refills && l.Quota > 0:
		// In a bucket it comes back much sooner than all of them; but the Reset of a
		// fixed window is often reported in these words, and a second is cheap.
		return max(l.Reset/time.Duration(l.Quota), min(l.Reset, time.Second))
	}
	return l.Reset
}
