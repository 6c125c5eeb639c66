package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
)

const day = 24 * time.Hour

// ParseLimit reads the text form of a limit: RATE/PERIOD, and optionally ;burst=N,
// ;name=NAME, and ;shadow or ;enforce-from=DATE, a day (UTC) or an RFC 3339 time in
// whole seconds. The period is a Go duration ("1m", "1.9s", "500ms"),
// as [time.ParseDuration] reads it, down to nanoseconds, a number of days ("7d"),
// or one of s, m, h, d for one of the unit:
//
//	5/s    100/1m    1000/24h;burst=50    1000/d;name=daily
//	1000/h;shadow    1000/h;enforce-from=2027-01-31
//
// The error is a [LimitError] that says what was found and what would be right,
// or several of them, joined; the limit of a nil error is valid. The error for a
// limit in another spelling, such as "5 per second" or "10,000/d", names the one to
// write.
func ParseLimit(s string) (Limit, error) {
	fail := func(want string) (Limit, error) {
		if written := wantMeant(s, true); written != "" {
			want = written
		}
		return Limit{}, &LimitError{Field: "text", Value: s, Want: want}
	}
	head, options, _ := strings.Cut(s, ";")
	rate, period, found := strings.Cut(head, "/")
	if !found {
		return fail(`must be RATE/PERIOD, such as "5/s", "100/1m" or "1000/24h;burst=50"`)
	}
	var l Limit
	var err error
	if l.Rate, err = parseCount(rate); err != nil {
		return fail(fmt.Sprintf(`must begin with a whole number, from 1 to %d, such as "5/s"`, int64(gcra.MaxRate)))
	}
	if l.Period, err = parsePeriod(period); err != nil {
		return fail(`must have a period of s, m, h, d, a number of days or a Go duration behind the slash, such as "5/s" or "100/1.5s"`)
	}
	seen := map[string]bool{}
	for options != "" {
		var option string
		option, options, _ = strings.Cut(options, ";")
		name, value, _ := strings.Cut(option, "=")
		switch {
		case seen[name]:
			return fail(fmt.Sprintf("must not give %s twice", name))
		case name == "burst":
			if l.Burst, err = parseCount(value); err != nil || l.Burst == 0 {
				return fail(`must have a whole number of at least 1 as its burst, such as "1000/24h;burst=50"`)
			}
		case name == "name" && value != "":
			l.Name = value
		case option == "shadow":
			l.Shadow = true
		case name == "enforce-from":
			if l.EnforceFrom, err = parseDate(value); err != nil {
				return fail(`must have a day or an RFC 3339 time in whole seconds as enforce-from, such as "1000/h;enforce-from=2027-01-31" or "1000/h;enforce-from=2027-01-31T09:00:00Z"`)
			}
			l.Shadow = true
		default:
			// By its number: the text may be a key in a wrong place, which only Value may hold.
			return fail(fmt.Sprintf(`may be followed only by ;burst=N, ;name=NAME, ;shadow and ;enforce-from=DATE, such as "1000/24h;burst=50", and its part %d is none of them`, len(seen)+2))
		}
		seen[name] = true
	}
	if strings.HasSuffix(s, ";") {
		return fail("must not end with a semicolon")
	}
	if err := l.Validate(); err != nil {
		return Limit{}, err
	}
	return l, nil
}

// String returns the shortest text that [ParseLimit] reads back as the same
// limit, of those with one number, of at least 1, and one unit for the period: a
// whole number, or one with a fraction of seconds or milliseconds. A burst equal
// to the rate and the name "default" go without saying. A limit that Validate
// refuses is printed all the same.
func (l Limit) String() string {
	var b strings.Builder
	b.WriteString(strconv.Itoa(l.Rate))
	b.WriteByte('/')
	b.WriteString(formatPeriod(l.Period))
	if l.Burst != 0 && l.Burst != l.Rate {
		b.WriteString(";burst=")
		b.WriteString(strconv.Itoa(l.Burst))
	}
	if l.Name != "" && l.Name != DefaultName {
		b.WriteString(";name=")
		b.WriteString(l.Name)
	}
	switch {
	case l.EnforceFrom != 0:
		b.WriteString(";enforce-from=")
		b.WriteString(formatDate(l.EnforceFrom))
	case l.Shadow:
		b.WriteString(";shadow")
	}
	return b.String()
}

// MarshalText implements [encoding.TextMarshaler] with the form of
// [Limit.String]. It refuses a limit that UnmarshalText would refuse.
func (l Limit) MarshalText() ([]byte, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return []byte(l.String()), nil
}

// UnmarshalText implements [encoding.TextUnmarshaler]; see [ParseLimit]. On an
// error l is left as it was.
func (l *Limit) UnmarshalText(text []byte) error {
	parsed, err := ParseLimit(string(text))
	if err == nil {
		*l = parsed
	}
	return err
}

// parseCount reads digits and nothing else: no sign, no space, no underscore.
func parseCount(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, strconv.IntSize-1)
	return int(n), err
}

// parseDate reads a day, which begins at midnight UTC, or a time, as seconds since
// 1970.
func parseDate(s string) (int64, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		t, err = time.Parse(time.RFC3339, s)
	}
	if err == nil && (t.Nanosecond() != 0 || t.Unix() <= 0 || t.Unix() > MaxEnforceFrom) {
		err = errDate
	}
	return t.Unix(), err
}

// formatDate prints what parseDate reads, the shorter form where it can.
func formatDate(seconds int64) string {
	t := time.Unix(seconds, 0).UTC()
	if t.Equal(t.Truncate(day)) {
		return t.Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

var errDate = errors.New("not a date")

var errPeriod = errors.New("not a period")

func parsePeriod(s string) (time.Duration, error) {
	switch s {
	case "s":
		return time.Second, nil
	case "m":
		return time.Minute, nil
	case "h":
		return time.Hour, nil
	case "d":
		return day, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := parseCount(days)
		if err != nil || n > int((1<<63-1)/day) {
			return 0, errPeriod
		}
		return time.Duration(n) * day, nil
	}
	return time.ParseDuration(s)
}

// formatPeriod returns the shortest text of d that parsePeriod reads back, as
// [Limit.String] says.
func formatPeriod(d time.Duration) string {
	shortest := d.String()
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", day}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}, {"us", time.Microsecond}} {
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
