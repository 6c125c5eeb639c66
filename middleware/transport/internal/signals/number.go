package signals

import (
	"math/bits"
	"strings"
	"time"
)

const (
	// maxText is how long a number, a time or a name in a header may be, in bytes.
	maxText = 64
	// MaxTime is the longest time that is read from a header: the longest window in
	// use is Kong's year. What is longer makes no sense, and is not read.
	MaxTime = 365 * 24 * time.Hour
	// MaxCount is the largest count that is read from a header.
	MaxCount = 1<<31 - 1
	// maxWhole is where digits stops counting. As a Unix time in nanoseconds it is the
	// year 2116.
	maxWhole = 1 << 62
)

// digits reads a decimal number without a sign or an exponent: strconv would also
// read NaN, Inf, hexadecimals and 1e999. The whole part is cut off at maxWhole, and
// billionths are 10^-9.
func digits(s string) (whole, billionths int64, ok bool) {
	if s == "" || s == "." || len(s) > maxText {
		return 0, 0, false
	}
	left, right, _ := strings.Cut(s, ".")
	for _, c := range []byte(left) {
		if c < '0' || c > '9' {
			return 0, 0, false
		}
		if whole > maxWhole/10-1 {
			whole = maxWhole
			continue
		}
		whole = whole*10 + int64(c-'0')
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

// parseCount reads a count, without its fraction. Servers that let a caller go below
// none write a negative one, which is none.
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
	return int(min(whole, MaxCount)), true
}

// parseQuota reads a count, and the time for which it holds if that stands behind it:
// 150/15m, 60/minute, 10 per 1 minute.
func parseQuota(s string) (n int, per time.Duration, ok bool) {
	if n, ok := parseCount(s); ok {
		return n, 0, true
	}
	count, period, found := strings.Cut(s, "/")
	if !found {
		count, period, _ = strings.Cut(s, " per ")
	}
	if per, ok = parseDuration(period); !ok {
		per = unitOf(strings.TrimSpace(period))
	}
	n, ok = parseCount(count)
	return n, per, ok && per > 0
}

// scale returns a number of units, unless it is more than MaxTime.
func scale(whole, billionths int64, unit time.Duration) (time.Duration, bool) {
	if whole > int64(MaxTime/unit) {
		return 0, false
	}
	high, low := bits.Mul64(uint64(billionths), uint64(unit)) // more than 64 bits, of days
	part, _ := bits.Div64(high, low, 1e9)
	d := time.Duration(whole)*unit + time.Duration(part)
	return d, d <= MaxTime
}

// parseDecimal reads a number of units, of MaxTime at most.
func parseDecimal(s string, unit time.Duration) (time.Duration, bool) {
	whole, billionths, ok := digits(strings.TrimSpace(s))
	if !ok {
		return 0, false
	}
	return scale(whole, billionths, unit)
}

func parseSeconds(s string) (time.Duration, bool) { return parseDecimal(s, time.Second) }
