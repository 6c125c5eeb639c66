package signals

import (
	"net/http"
	"strings"
	"time"
)

// A clock computes the time until an instant of the server.
type clock struct {
	now  time.Time // of this machine, when the response arrived
	date time.Time // of the server, in whole seconds; zero if unknown
}

func clockOf(h http.Header, now time.Time) clock {
	c := clock{now: now}
	c.date, _ = parseDate(h.Get("Date"))
	return c
}

// read reads the time until an event in any form in use: a number of units, a duration with
// its own units, a date, or a Unix time in seconds, milliseconds, microseconds or
// nanoseconds. It returns 0 for the past, and false for text that it cannot read or an
// instant beyond MaxTime.
//
// The forms are distinct: a number is a Unix time only if as a delay it is longer than
// MaxTime.
func (c clock) read(s string, unit time.Duration) (d time.Duration, ok bool) {
	s = strings.TrimSpace(s)
	number, isDate := strings.CutPrefix(s, "@") // RFC 9651, section 3.3.7
	if whole, billionths, ok := digits(number); ok {
		if d, ok := scale(whole, billionths, unit); ok && !isDate {
			return d, true
		}
		return within(c.until(epoch(whole, billionths)))
	}
	if d, ok := parseDuration(s); ok {
		return d, true
	}
	at, ok := parseDate(s)
	switch {
	case !ok:
		return 0, false
	case isISO(s) || c.date.IsZero():
		return within(c.until(at))
	}
	return within(at.Sub(c.date)) // an HTTP date: both are in whole seconds, so the wait is rather too long
}

// epoch returns a Unix time, in the unit that its magnitude shows: in a finer one it would
// be in 1973 or before, in a coarser one in the year 5138 or after.
func epoch(whole, billionths int64) time.Time {
	switch {
	case whole >= 1e17:
		return time.Unix(0, whole)
	case whole >= 1e14:
		return time.UnixMicro(whole)
	case whole >= 1e11:
		return time.UnixMilli(whole).Add(time.Duration(billionths / 1000))
	}
	return time.Unix(whole, billionths)
}

// within returns d, at least 0, unless it is more than MaxTime.
func within(d time.Duration) (time.Duration, bool) {
	if d > MaxTime {
		return 0, false
	}
	return max(d, 0), true
}

// until returns the time until an instant. The clock of this machine is finer than Date, so
// it counts as long as both may be right.
func (c clock) until(at time.Time) time.Duration {
	if ahead := c.now.Sub(c.date); c.date.IsZero() || ahead > -50*time.Millisecond && ahead < 1500*time.Millisecond {
		return at.Sub(c.now)
	}
	return at.Sub(c.date)
}
