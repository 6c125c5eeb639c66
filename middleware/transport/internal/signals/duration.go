package signals

import (
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// parseDuration reads a duration with its units, of MaxTime at most:
//
//	30s  6m0s  1d2h3m4s  200ms  1.5 hours    a number before each unit
//	PT30S  P1DT2H                            ISO 8601, without years and months
//	00:00:30  1.02:03:04                     hours, minutes, seconds; days before a dot
func parseDuration(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > maxText {
		return 0, false
	}
	if strings.IndexByte(s, ':') >= 0 {
		return parseClockTime(s)
	}
	if s[0] == 'P' || s[0] == 'p' {
		days, rest, found := strings.Cut(strings.ToUpper(s[1:]), "T")
		if found == (rest == "") || strings.ContainsAny(days, "HMS") || strings.ContainsAny(rest, "DW") {
			return 0, false
		}
		s = strings.ToLower(days + rest)
	}
	var sum time.Duration
	for s != "" {
		number := s[:len(s)-len(strings.TrimLeft(s, "0123456789."))]
		s = strings.TrimLeft(s[len(number):], " ")
		end := strings.IndexAny(s, "0123456789. ")
		if end < 0 {
			end = len(s)
		}
		unit := unitOf(s[:end])
		if unit == 0 {
			return 0, false
		}
		d, ok := parseDecimal(number, unit)
		if sum += d; !ok || sum > MaxTime {
			return 0, false
		}
		s = strings.TrimLeft(s[end:], " ")
	}
	return sum, true
}

// parsePeriod reads a window: a number of units, a duration with its own units, or the
// name of a unit alone.
func parsePeriod(s string, unit time.Duration) (time.Duration, bool) {
	if d, ok := parseDecimal(s, unit); ok {
		return d, d > 0
	}
	if d, ok := parseDuration(s); ok {
		return d, d > 0
	}
	d := unitOf(strings.TrimSpace(s))
	return d, d > 0
}

// unitOf returns the unit that a word stands for, 0 if it is none.
func unitOf(word string) time.Duration {
	switch strings.ToLower(word) {
	case "ns":
		return time.Nanosecond
	case "us", "µs", "μs":
		return time.Microsecond
	case "ms", "msec", "millis", "millisecond", "milliseconds":
		return time.Millisecond
	case "s", "sec", "secs", "second", "seconds":
		return time.Second
	case "m", "min", "mins", "minute", "minutes":
		return time.Minute
	case "h", "hr", "hrs", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return day
	case "w", "week", "weeks":
		return week
	}
	return 0
}

// parseClockTime reads hours, minutes and seconds, as .NET writes a TimeSpan.
func parseClockTime(s string) (time.Duration, bool) {
	part := strings.Split(s, ":")
	if len(part) != 3 {
		return 0, false
	}
	if days, hours, found := strings.Cut(part[0], "."); found {
		part = append([]string{days}, hours, part[1], part[2])
	} else {
		part = append([]string{"0"}, part...)
	}
	var sum time.Duration
	for i, unit := range []time.Duration{day, time.Hour, time.Minute, time.Second} {
		d, ok := parseDecimal(part[i], unit)
		if sum += d; !ok || sum > MaxTime {
			return 0, false
		}
	}
	return sum, true
}
