package signals

import (
	"net/http"
	"strings"
	"time"
)

// parseDate reads a date and a time of day:
//
//	Mon, 05 Jan 2026 12:05:00 GMT          RFC 9110, its obsolete forms, and with a day
//	                                       of one digit, a numeric zone, or without seconds
//	2026-01-05T12:05:00.5Z                 RFC 3339, and ISO 8601 without seconds or zone,
//	                                       in its basic form, or with a space for the T
//	Mon Jan 05 2026 12:05:00 GMT+0000 (…)  JavaScript
//
// A date without a zone is in UTC, one without a time of day at midnight. A zone with an
// unknown name is invalid.
func parseDate(s string) (time.Time, bool) {
	s, _, _ = strings.Cut(strings.TrimSpace(s), " (")
	if len(s) < len("20060102") || len(s) > maxText {
		return time.Time{}, false
	}
	if at, err := time.Parse(http.TimeFormat, s); err == nil {
		return at, true
	}
	if isISO(s) {
		return parseISO(s)
	}
	if before, after, found := strings.Cut(s, ","); found {
		if !isWeekday(before) {
			return time.Time{}, false
		}
		s = strings.TrimLeft(after, " ")
	} else if before, after, _ := strings.Cut(s, " "); isWeekday(before) {
		s = strings.TrimLeft(after, " ")
	}
	return parseLayouts(withZone(s), "2 Jan 2006 15:04:05-0700", "2 Jan 2006 15:04-0700",
		"2-Jan-06 15:04:05-0700", "2-Jan-2006 15:04:05-0700", "2 Jan 06 15:04:05-0700",
		"Jan 2 2006 15:04:05-0700", "Jan 2 15:04:05 2006-0700")
}

// isISO reports whether a date begins with its year.
func isISO(s string) bool {
	return len(s) >= len("2006") && strings.Trim(s[:len("2006")], "0123456789") == ""
}

func parseISO(s string) (time.Time, bool) {
	if len(s) == len(time.DateOnly) {
		return parseLayouts(s, time.DateOnly)
	}
	s, _, _ = strings.Cut(strings.ToUpper(s), "[") // Java writes "Z[UTC]"
	if len(s) < len(time.DateOnly)+1 {
		return time.Time{}, false
	}
	if s[len(time.DateOnly)] == ' ' {
		s = strings.Replace(s, " ", "T", 1)
	}
	date, clock, found := strings.Cut(s, "T")
	if !found {
		return time.Time{}, false
	}
	return parseLayouts(date+"T"+withZone(clock), "2006-01-02T15:04:05-0700", "2006-01-02T15:04-0700",
		"20060102T150405-0700", "20060102T1504-0700")
}

// withZone returns a time of day, with or without a date before it, with its zone as an
// offset of four digits, +0000 if it has none.
func withZone(s string) string {
	end := strings.LastIndexAny(s, ":0123456789")
	if end < 0 {
		return s
	}
	text, zone := s[:end+1], strings.TrimLeft(s[end+1:], " ")
	if zone != "" {
		offset, ok := zones[strings.ToUpper(zone)]
		if !ok {
			return ""
		}
		return text + offset
	}
	// The sign of an offset follows the colon of the time of day.
	colon := strings.IndexByte(text, ':')
	sign := strings.LastIndexAny(text, "+-")
	if sign <= colon || strings.IndexByte(text[sign:], ' ') >= 0 {
		return text + "+0000"
	}
	offset := strings.ReplaceAll(text[sign:], ":", "")
	if len(offset) == len("+00") {
		offset += "00"
	}
	text = strings.TrimRight(text[:sign], " ")
	for _, name := range []string{"GMT", "UTC"} {
		text = strings.TrimRight(strings.TrimSuffix(text, name), " ")
	}
	return text + offset
}

// zones are the names of RFC 5322, and UTC.
var zones = map[string]string{
	"Z": "+0000", "UT": "+0000", "UTC": "+0000", "GMT": "+0000",
	"EST": "-0500", "EDT": "-0400", "CST": "-0600", "CDT": "-0500",
	"MST": "-0700", "MDT": "-0600", "PST": "-0800", "PDT": "-0700",
}

func parseLayouts(s string, layouts ...string) (time.Time, bool) {
	for _, layout := range layouts {
		if at, err := time.Parse(layout, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// isWeekday reports whether s is the name of a weekday, in full or its first three
// letters.
func isWeekday(s string) bool {
	if len(s) < len("Mon") || len(s) > len("Wednesday") {
		return false
	}
	for d := range time.Saturday + 1 {
		if name := d.String(); strings.EqualFold(s, name) || strings.EqualFold(s, name[:3]) {
			return true
		}
	}
	return false
}
