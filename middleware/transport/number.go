package transport

import (
	"math/bits"
	"net/http"
	"strings"
	"time"
)

const (
	// maxText is how long a number, a time or a name in a header may be, in bytes.
	maxText = 64
	// maxTold is the longest time that is taken from a header, so that no sum of
	// such times overflows.
	maxTold = 365 * 24 * time.Hour
	// maxCount is the largest count that is taken from a header.
	maxCount = 1<<31 - 1
	// minEpoch is the smallest number that is a Unix time and not a delay, in
	// seconds: 1985, or a delay of 16 years.
	minEpoch = 500_000_000
	// minEpochMillis is the smallest number that is a Unix time in milliseconds:
	// 1973, or the year 5138 if they were seconds.
	minEpochMillis = 100_000_000_000
)

// digits reads a decimal number without a sign or an exponent: strconv would also
// read NaN, Inf, hexadecimals and 1e999. The whole part is cut off at 10^15, and
// billionths are 10^-9.
func digits(s string) (whole, billionths int64, ok bool) {
	if s == "" || len(s) > maxText {
		return 0, 0, false
	}
	left, right, _ := strings.Cut(s, ".")
	if left == "" {
		return 0, 0, false
	}
	for _, c := range []byte(left) {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		whole = min(whole*10+int64(c-'0'), 1e15)
	}
	unit := int64(100_000_000)
	for _, c := range []byte(right) {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		billionths += unit * int64(c-'0')
		unit /= 10
	}
	return whole, billionths, true
}

// parseCount reads a count. Servers that let a caller go below none write a
// negative one, which is none.
func parseCount(s string) (int, bool) {
	s = strings.TrimSpace(s)
	unsigned := strings.TrimPrefix(s, "-")
	whole, _, ok := digits(unsigned)
	if !ok {
		return 0, false
	}
	if unsigned != s {
		return 0, true
	}
	return int(min(whole, maxCount)), true
}

// parseDecimal reads a number of units.
func parseDecimal(s string, unit time.Duration) (time.Duration, bool) {
	whole, billionths, ok := digits(strings.TrimSpace(s))
	if !ok {
		return 0, false
	}
	if whole >= int64(maxTold/unit) {
		return maxTold, true
	}
	high, low := bits.Mul64(uint64(billionths), uint64(unit)) // more than 64 bits, of days
	part, _ := bits.Div64(high, low, 1e9)
	return time.Duration(whole)*unit + time.Duration(part), true
}

func parseSeconds(s string) (time.Duration, bool) { return parseDecimal(s, time.Second) }

// parseDuration reads a duration with its unit: what time.ParseDuration does, and
// days.
func parseDuration(s string) (time.Duration, bool) {
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		return 0, false
	}
	if days, found := strings.CutSuffix(s, "d"); found {
		return parseDecimal(days, 24*time.Hour)
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || strings.TrimLeft(s, "0123456789.") == "" {
		return 0, false // "0" has no unit
	}
	return min(d, maxTold), true
}

// A clock tells how far away a time of the server is.
type clock struct {
	now  time.Time // of this machine, when the response arrived
	date time.Time // of the server, in whole seconds; zero if it was not told
}

func clockOf(h http.Header, now time.Time) clock {
	c := clock{now: now}
	c.date, _ = parseDate(h.Get("Date"))
	return c
}

// parseDate reads an HTTP date.
func parseDate(s string) (time.Time, bool) {
	if len(s) > maxText {
		return time.Time{}, false
	}
	date, err := http.ParseTime(s)
	return date, err == nil
}

// untilDate returns the time until an HTTP date, by the server's own clock if that is
// known: both are in whole seconds, so that the wait is rather too long.
func (c clock) untilDate(at time.Time) time.Duration {
	if c.date.IsZero() {
		return clamp(at.Sub(c.now))
	}
	return clamp(at.Sub(c.date))
}

// until returns the time until a reset. The clock of this machine is finer than
// Date, so it is preferred as long as both can be right.
func (c clock) until(at time.Time) time.Duration {
	if ahead := c.now.Sub(c.date); c.date.IsZero() || ahead > -50*time.Millisecond && ahead < 1500*time.Millisecond {
		return clamp(at.Sub(c.now))
	}
	return clamp(at.Sub(c.date))
}

// parseReset reads when a limit resets, in any of the forms that are in use. It
// returns 0 if it is over, or cannot be read.
func (c clock) parseReset(s string) time.Duration {
	s = strings.TrimSpace(s)
	if whole, billionths, ok := digits(s); ok {
		switch {
		case whole >= minEpochMillis:
			return c.until(time.UnixMilli(whole))
		case whole >= minEpoch:
			return c.until(time.Unix(whole, billionths))
		}
		d, _ := parseSeconds(s)
		return d
	}
	if d, ok := parseDuration(s); ok {
		return d
	}
	if len(s) > maxText {
		return 0
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return c.until(at)
	}
	if at, ok := parseDate(s); ok {
		return c.untilDate(at)
	}
	return 0
}

func clamp(d time.Duration) time.Duration { return min(max(d, 0), maxTold) }
