// Package text reads and writes the parts of the text form of a limit.
package text

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Day is 24 hours.
const Day = 24 * time.Hour

// MaxDate is the last date in seconds since 1970: the last second of the year 9999, after
// which there is no text for it.
const MaxDate = 253_402_300_799

// ParseCount reads digits and nothing else: no sign, no space, no underscore.
func ParseCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, strconv.IntSize-1)
	return int(n), err
}

// ParseDate reads a day, which begins at midnight UTC, or a time, as seconds since
// 1970.
func ParseDate(s string) (int64, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err == nil && (t.Nanosecond() != 0 || t.Unix() <= 0 || t.Unix() > MaxDate) {
		err = errDate
	}
	return t.Unix(), err
}

// FormatDate prints what ParseDate reads, the shorter form where it can.
func FormatDate(seconds int64) string {
	t := time.Unix(seconds, 0).UTC()
	if t.Equal(t.Truncate(Day)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

var errDate = errors.New("not a date")

var errPeriod = errors.New("not a period")

// ParsePeriod reads a Go duration, a number of days such as "7d", or one of the units s, m,
// h and d.
func ParsePeriod(s string) (time.Duration, error) {
	switch s {
	case "s":
		return time.Second, nil
	case "m":
		return time.Minute, nil
	case "h":
		return time.Hour, nil
	case "d":
		return Day, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := ParseCount(days)
		if err != nil || n > int((1<<63-1)/Day) {
			return 0, errPeriod
		}
		return time.Duration(n) * Day, nil
	}
	return time.ParseDuration(s)
}

// FormatPeriod returns the shortest text of d with one number and one unit that ParsePeriod
// reads back.
func FormatPeriod(d time.Duration) string {
	shortest := d.String()
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", Day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}} {
		whole, rest := d/unit.size, d%unit.size
		if whole <= 0 || rest != 0 && unit.size > time.Second {
			continue
		}
		text := strconv.FormatInt(int64(whole), 10)
		if rest > 0 { // behind the 1 of a size of 10^n are the n digits of the fraction
			text += "." + strings.TrimRight(strconv.FormatInt(int64(unit.size+rest), 10)[1:], "0")
		}
		text += unit.name
		if d == unit.size && len(unit.name) == 1 {
			text = unit.name
		}
		if len(text) < len(shortest) {
			shortest = text
		}
	}
	return shortest
}
