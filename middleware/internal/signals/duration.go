package signals

import (
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// parseDuration reads a duration with its units, up to MaxTime:
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
		return parseTimeSpan(s)
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
		unit := units[strings.ToLower(s[:end])]
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
	d, ok := parseDecimal(s, unit)
	if !ok {
		d = parseUnits(s)
	}
	return d, d > 0
}

// parseUnits reads a duration, or the name of a unit alone. It returns 0 for anything else.
func parseUnits(s string) time.Duration {
	if d, ok := parseDuration(s); ok {
		return d
	}
	return units[strings.ToLower(strings.TrimSpace(s))]
}

// parseQuota reads a count, and the time for which it holds if that follows: 150/15m,
// 60/minute, 10 per 1 minute.
func parseQuota(s string) (n int, per time.Duration, ok bool) {
	if n, ok := parseCount(s); ok {
		return n, 0, true
	}
	count, period, found := strings.Cut(s, "/")
	if !found {
		count, period, _ = strings.Cut(s, " per ")
	}
	per = parseUnits(period)
	n, ok = parseCount(count)
	return n, per, ok && per > 0
}

// units are the words for a unit of time.
var units = map[string]time.Duration{
	"ns": time.Nanosecond, "us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond, "millis": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": day, "day": day, "days": day, "w": week, "week": week, "weeks": week,
}

// parseTimeSpan reads hours, minutes and seconds, as .NET writes a TimeSpan.
func parseTimeSpan(s string) (time.Duration, bool) {
	part := strings.Split(s, ":")
	if len(part) != 3 {
		return 0, false
	}
	days, hours, found := strings.Cut(part[0], ".")
	if !found {
		days, hours = "0", part[0]
	}
	var sum time.Duration
	for i, unit := range []time.Duration{day, time.Hour, time.Minute, time.Second} {
		d, ok := parseDecimal([]string{days, hours, part[1], part[2]}[i], unit)
		if sum += d; !ok || sum > MaxTime {
			return 0, false
		}
	}
	return sum, true
}
