package signals

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

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

// blank returns the limit of the family, of which nothing is known yet.
func (f *family) blank() Limit {
	return Limit{Name: f.name, Unit: f.unit, Window: f.per, Remaining: Unknown, Refills: f.bucket}
}

// readCounts reads the headers that have one value each. Where all of them have
// several, they belong together in this order, and the tightest set counts; otherwise
// the tighter value of each header does.
func (f *family) readCounts(h http.Header, c clock, listed, policies []member) (Limit, bool) {
	l := f.blank()
	left, resets := f.left(h, listed), f.resets(h, c)
	m, known := tightest(listed)
	sets := len(left) > 1 && len(left) == len(listed)
	remaining, at := least(left, listed, resets)
	if l.Remaining = remaining; sets {
		m = listed[at]
	}
	if n, per, ok := parseQuota(m.value); ok {
		if n == 0 {
			return l, false // it says nothing about a rate
		}
		l.Quota = n
		l.Window = cmp.Or(m.window(), per, windowOf(listed, n), windowOf(policies, n), l.Window)
	} else if d, ok := parseDuration(m.value); known && ok {
		l.Window = d
	}
	if len(left) > 0 {
		l.Window = cmp.Or(l.Window, left[at].window)
	}
	switch {
	case sets && len(resets) == len(left):
		l.Reset = resets[at]
	case len(resets) > 0:
		l.Reset = slices.Max(resets)
	}
	f.readRate(h, &l)
	for _, m := range f.members(h, title) {
		l.Name = m.value
		break
	}
	return l, l.Quota > 0 || l.Remaining != Unknown || l.Reset > 0
}

// A rest is how many remain, in a window if that stands beside it.
type rest struct {
	count  int
	window time.Duration
}

// left returns how many remain, of each set; as told, or as is left by what was used.
func (f *family) left(h http.Header, listed []member) []rest {
	var found []rest
	for _, m := range f.members(h, remaining) {
		if n, ok := parseCount(m.value); ok {
			found = append(found, rest{n, m.window()})
		}
	}
	spent := f.members(h, used)
	if found != nil || len(spent) > len(listed) {
		return found
	}
	for i, m := range spent {
		n, ok := parseCount(m.value)
		most, _, ok2 := parseQuota(listed[i].value)
		if !ok || !ok2 {
			return nil
		}
		found = append(found, rest{count: max(most-n, 0)})
	}
	return found
}

// least returns how many remain of the set that counts, and which one it is: the one
// with the least remaining and, of several, the one that resets last. A set with a limit
// of 0 does not count: Brave sends "50, 0" for a plan without a limit per month.
func least(left []rest, listed []member, resets []time.Duration) (remaining, at int) {
	best := Limit{Remaining: Unknown}
	for i, s := range left {
		one := Limit{Remaining: s.count}
		if len(left) == len(listed) && len(left) > 1 {
			if n, _, ok := parseQuota(listed[i].value); ok && n == 0 {
				continue
			}
			if len(resets) == len(left) {
				one.Reset = resets[i]
			}
		}
		if one.tighter(best) {
			best, at = one, i
		}
	}
	return best.Remaining, at
}

// tightest returns the smallest of the counts in a list that stand there without a
// window, for those with one are the policies that these come from; if there is none,
// the first member. A count of 0 is no limit.
func tightest(listed []member) (m member, ok bool) {
	least := -1
	for _, one := range listed {
		if n, _, isCount := parseQuota(one.value); isCount && n > 0 && one.window() == 0 && (least < 0 || n < least) {
			least, m = n, one
		}
	}
	if least < 0 && len(listed) > 0 {
		return listed[0], true
	}
	return m, least >= 0
}

// resets returns the times until the limit resets, in the most precise form.
func (f *family) resets(h http.Header, c clock) []time.Duration {
	for _, form := range []struct {
		as   role
		unit time.Duration
	}{{resetMs, time.Millisecond}, {resetIn, time.Second}, {reset, time.Second}} {
		if found := f.times(h, c, form.as, form.unit); found != nil {
			return found
		}
	}
	return nil
}

// readRate reads what headers of their own say of the window and the rate.
func (f *family) readRate(h http.Header, l *Limit) {
	l.Window = cmp.Or(f.window(h, windowMs, time.Millisecond), f.window(h, window, time.Second), l.Window)
	if n := f.counts(h, refill); len(n) > 0 && n[0] > 0 {
		l.Refills, l.Refill = true, slices.Min(n)
		l.Window = cmp.Or(l.Window, time.Second)
	}
	for _, m := range f.members(h, perSecond) {
		// Read as a time, half a request a second is half a second.
		if d, ok := parseSeconds(m.value); ok && d > 0 && l.Quota == 0 {
			l.Quota, l.Window = 1, max(time.Duration(float64(time.Second)/d.Seconds()), 1)
		}
	}
}

// window returns the longest window in the headers of a role, 0 if there is none.
func (f *family) window(h http.Header, as role, unit time.Duration) time.Duration {
	var longest time.Duration
	for _, m := range f.members(h, as) {
		if d, ok := parsePeriod(m.value, unit); ok {
			longest = max(longest, d)
		}
	}
	return longest
}
