package signals

import (
	"math/bits"
	"strings"
	"time"
)

const (
	// MaxTime is the longest time that is read from a header: the longest window in
	// use is Kong's year.
	MaxTime = 365 * 24 * time.Hour
	// MaxCount is the largest count that is read from a header.
	MaxCount = 1<<31 - 1
	// maxWhole is where digits stops counting. As a Unix time in nanoseconds it is in
	// the year 2116.
	maxWhole = 1 << 62
)

// digits reads a decimal number without a sign or an exponent: strconv would also read NaN,
// Inf, hexadecimal numbers and 1e999. The whole part is capped at maxWhole; billionths are
// 10^-9.
func digits(s string) (whole, billionths int64, ok bool) {
	if s == "" || s == "." || len(s) > maxText {
		return 0, 0, false
	}
	left, right, _ := strings.Cut(s, ".")
	if strings.Trim(left+right, "0123456789") != "" {
		return 0, 0, false
	}
	for _, c := range []byte(left) {
		if whole > maxWhole/10-1 {
			whole = maxWhole
			break
		}
		whole = whole*10 + int64(c-'0')
	}
	unit := int64(100_000_000)
	for _, c := range []byte(right) {
		billionths += unit * int64(c-'0')
		unit /= 10
	}
	return whole, billionths, true
}

// parseCount reads a count, without its fraction. A negative count is 0: some servers let a
// caller go below none.
func parseCount(s string) (int, bool) {
	s = strings.TrimSpace(s)
	unsigned := strings.TrimPrefix(s, "-")
	whole, _, ok := digits(unsigned)
	if !ok || unsigned != s {
		return 0, ok
	}
	return int(min(whole, MaxCount)), true
}

// parseDecimal reads a number of units, up to MaxTime.
func parseDecimal(s string, unit time.Duration) (time.Duration, bool) {
	whole, billionths, ok := digits(strings.TrimSpace(s))
	if !ok {
		return 0, false
	}
	return scale(whole, billionths, unit)
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
