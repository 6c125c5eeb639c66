package signals

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// readCounts reads the headers that have one value each. If all of them have several, these
// are sets in the same order, and the tightest set counts; otherwise the tighter value of
// each header does.
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
	if names := f.members(h, title); len(names) > 0 {
		l.Name = names[0].value
	}
	return l, l.Quota > 0 || l.Remaining != Unknown || l.Reset > 0
}

// A rest is how many remain, in a window if the header states it.
type rest struct {
	count  int
	window time.Duration
}

// left returns how many remain of each set, as reported or by what was used.
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

// least returns how many remain of the set that counts, and its index: the one with the
// least remaining and, of several, the one that resets last. A set with a limit of 0 does
// not count: Brave sends "50, 0" for a plan without a monthly limit.
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

// tightest returns the smallest of the counts in a list that have no window, for those with
// one are the policies that these come from; if there is none, the first member. A count of
// 0 is no limit.
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
