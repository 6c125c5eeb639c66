package meant

import (
	"math/big"
	"strings"
	"time"

	"github.com/keyrate/keyrate/ratelimit/gcra"
	"github.com/keyrate/keyrate/ratelimit/internal/text"
)

// readLimit reads a number of calls and a period, or how many may run at a time.
func readLimit(s string) (Limit, bool) {
	if m := atOnceForm.FindStringSubmatch(s); m != nil {
		n, err := text.ParseCount(m[1])
		return Limit{Rate: n, Concurrent: true}, err == nil
	}
	m := limitForm.FindStringSubmatch(s)
	if m == nil {
		return Limit{}, false
	}
	count, thousands, separator, period, short, often := m[1], m[2], m[3], m[4], m[5], m[6]
	if short != "" { // rps
		period = strings.ToLower(short[2:])
	}
	if often != "" {
		period = map[string]string{"hourly": "h", "daily": "d", "weekly": "7d", "monthly": "30d"}[strings.ToLower(often)]
	}
	if separator == "-" { // 100-M of ulule/limiter, where M is a minute; 5-10s could be from 5 to 10
		if len(period) != 1 {
			return Limit{}, false
		}
		period = strings.ToLower(period)
	}
	d, ok := readPeriod(period)
	rate := readCount(count, thousands)
	switch {
	case !ok || rate == nil:
	case rate.IsInt() && rate.Num().IsInt64() && rate.Num().Int64() <= gcra.MaxRate:
		return Limit{Rate: int(rate.Num().Int64()), Period: d}, true // 0 is for Validate
	case rate.Num().IsInt64() && rate.Num().Int64() == 1 && rate.Denom().IsInt64() && rate.Denom().Int64() <= int64(longestPeriod/d):
		return Limit{Rate: 1, Period: time.Duration(rate.Denom().Int64()) * d}, true // 0.5/s is one in two seconds
	}
	return Limit{}, false
}

// readCount reads a number; nil if that can mean two.
func readCount(s, thousands string) *big.Rat {
	n, ok := new(big.Rat).SetString(s)
	whole, fraction, _ := strings.Cut(s, ".")
	if !ok || len(fraction) == 3 && thousands == "" && strings.Trim(whole, "0") != "" { // 10.000 may be ten thousand
		return nil
	}
	switch thousands {
	case "k", "K":
		n.Mul(n, big.NewRat(1e3, 1))
	case "M":
		n.Mul(n, big.NewRat(1e6, 1))
	}
	return n
}

// longestPeriod is far above that of any limit that is valid.
const longestPeriod = 100 * 365 * text.Day

// readPeriod reads units with a number each, or one unit, as whole microseconds.
func readPeriod(s string) (time.Duration, bool) {
	if m := isoPeriod.FindStringSubmatch(s); m != nil {
		s = ""
		for i, unit := range []string{"d", "h", "m", "s"} {
			if m[i+1] != "" {
				s += m[i+1] + unit
			}
		}
	}
	sum := new(big.Rat)
	for first := true; s != ""; first = false {
		m := periodPart.FindStringSubmatch(s)
		if m == nil || m[1] == "" && (!first || len(m[0]) < len(s)) {
			return 0, false
		}
		unit, ok := readUnit(m[2])
		if !ok {
			return 0, false
		}
		n := big.NewRat(1, 1)
		if m[1] != "" {
			n.SetString(m[1])
		}
		sum.Add(sum, n.Mul(n, big.NewRat(unit.Microseconds(), 1)))
		s = s[len(m[0]):]
	}
	if !sum.IsInt() || sum.Sign() == 0 || sum.Cmp(big.NewRat(longestPeriod.Microseconds(), 1)) > 0 {
		return 0, false
	}
	return time.Duration(sum.Num().Int64()) * time.Microsecond, true
}

// units are the units of a period. A month is 30 days and a year 365, as in most
// limiters; a quarter is in none.
var units = map[string]time.Duration{
	"us": time.Microsecond, "µs": time.Microsecond, "μs": time.Microsecond, "usec": time.Microsecond, "microsecond": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond, "millisecond": time.Millisecond,
	"s": time.Second, "sec": time.Second, "second": time.Second,
	"m": time.Minute, "min": time.Minute, "minute": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour,
	"d": text.Day, "day": text.Day, "w": 7 * text.Day, "wk": 7 * text.Day, "week": 7 * text.Day, "fortnight": 14 * text.Day,
	"mo": 30 * text.Day, "mon": 30 * text.Day, "mth": 30 * text.Day, "month": 30 * text.Day,
	"y": 365 * text.Day, "yr": 365 * text.Day, "year": 365 * text.Day,
}

// readUnit reads the name of a unit. M alone may be a minute or a month, and MS anything.
func readUnit(s string) (time.Duration, bool) {
	lower := strings.ToLower(s)
	if lower != s && (lower == "m" || lower == "ms" || lower == "us") {
		return 0, false
	}
	unit, ok := units[lower]
	if name, plural := strings.CutSuffix(lower, "s"); !ok && plural && len(name) > 1 {
		unit, ok = units[name]
	}
	return unit, ok
}
