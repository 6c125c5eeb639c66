package signals

import (
	"net/http"
	"strings"
	"time"
)

// A clock computes how far away an instant of the server is.
type clock struct {
	now  time.Time // of this machine, when the response arrived
	date time.Time // of the server, in whole seconds; zero if it is not known
}

func clockOf(h http.Header, now time.Time) clock {
	c := clock{now: now}
	c.date, _ = parseDate(h.Get("Date"))
	return c
}

// read reads the time until something happens, in any of the forms in use: a number
// of units, a duration with its own units, a date, or a Unix time in seconds,
// milliseconds, microseconds or nanoseconds. What is over is 0. What cannot be read, or
// is further away than MaxTime, makes no sense: then ok is false.
//
// No form can be taken for another: a number is a Unix time only if as a delay it is
// longer than MaxTime.
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
	case isISO(s):
		return within(c.until(at))
	}
	return within(c.untilDate(at))
}

// epoch returns a Unix time, in the unit that its magnitude shows: in a finer one it
// would be in 1973 or before, and in a coarser one in the year 5138 or after.
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

// within returns the time until something happens if that makes sense.
func within(d time.Duration) (time.Duration, bool) {
	if d > MaxTime {
		return 0, false
	}
	return max(d, 0), true
}

// untilDate returns the time until an HTTP date, by the server's own clock if that is
// known: both are in whole seconds, so that the wait is rather too long.
func (c clock) untilDate(at time.Time) time.Duration {
	if c.date.IsZero() {
		return at.Sub(c.now)
	}
	return at.Sub(c.date)
}

// until returns the time until an instant. The clock of this machine is finer than
// Date, so it is preferred as long as both can be right.
func (c clock) until(at time.Time) time.Duration {
	if ahead := c.now.Sub(c.date); c.date.IsZero() || ahead > -50*time.Millisecond && ahead < 1500*time.Millisecond {
		return at.Sub(c.now)
	}
	return at.Sub(c.date)
}
