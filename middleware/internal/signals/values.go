package signals

import (
	"cmp"
	"net/http"
	"slices"
	"time"
)

// A form is a role whose values are times, and the unit of its numbers.
type form struct {
	role role
	unit time.Duration
}

// The forms of a time, the more precise ones first.
var (
	waitForms  = []form{{waitMs, time.Millisecond}, {waitFor, time.Second}}
	resetForms = []form{{resetMs, time.Millisecond}, {resetIn, time.Second}, {reset, time.Second}}
)

// blank returns the limit of the family without any number.
func (f *family) blank() Limit {
	return Limit{Name: f.name, Unit: f.unit, Window: f.per, Remaining: Unknown, Refills: f.bucket}
}

// members returns the members of the first header of a role that has any.
func (f *family) members(h http.Header, as role) []member {
	for _, name := range f.names[as] {
		if found := members(h[name]); len(found) > 0 {
			return found
		}
	}
	return nil
}

// resets returns the times until the limit resets, in the most precise form that is valid.
func (f *family) resets(h http.Header, c clock) []time.Duration {
	for _, form := range resetForms {
		for _, name := range f.names[form.role] {
			if found := times(h[name], c, form.unit); len(found) > 0 {
				return found
			}
		}
	}
	return nil
}

// times returns the valid times of a field.
func times(lines []string, c clock, unit time.Duration) []time.Duration {
	var found []time.Duration
	for _, m := range members(lines) {
		if d, ok := c.read(m.value, unit); ok && m.key == "" {
			found = append(found, d)
		}
	}
	return found
}

// readRate reads the window and the rate from headers of their own.
func (f *family) readRate(h http.Header, l *Limit) {
	l.Window = cmp.Or(f.window(h, windowMs, time.Millisecond), f.window(h, window, time.Second), l.Window)
	var back []int
	for _, m := range f.members(h, refill) {
		if n, ok := parseCount(m.value); ok {
			back = append(back, n)
		}
	}
	if len(back) > 0 && back[0] > 0 {
		l.Refills, l.Refill = true, slices.Min(back)
		l.Window = cmp.Or(l.Window, time.Second)
	}
	for _, m := range f.members(h, perSecond) {
		// Read as a time, half a request a second is half a second.
		if d, ok := parseDecimal(m.value, time.Second); ok && d > 0 && l.Quota == 0 {
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
