package reply

import (
	"strconv"
	"time"
)

// ceilSeconds rounds d up to whole seconds.
func ceilSeconds(d time.Duration) int64 { return ceil(d, time.Second) }

// Milliseconds rounds d up to whole milliseconds.
func Milliseconds(d time.Duration) int64 { return ceil(d, time.Millisecond) }

// ceil returns d in units, rounded up.
func ceil(d, unit time.Duration) int64 {
	n := d / unit
	if d%unit > 0 {
		n++
	}
	return int64(n)
}

// appendPeriod appends a period as a number and the largest unit that divides it.
func appendPeriod(b []byte, d time.Duration) []byte {
	unit, name := time.Microsecond, "us"
	switch {
	case d%(24*time.Hour) == 0:
		unit, name = 24*time.Hour, "d"
	case d%time.Hour == 0:
		unit, name = time.Hour, "h"
	case d%time.Minute == 0:
		unit, name = time.Minute, "m"
	case d%time.Second == 0:
		unit, name = time.Second, "s"
	case d%time.Millisecond == 0:
		unit, name = time.Millisecond, "ms"
	}
	return append(strconv.AppendInt(b, int64(d/unit), 10), name...)
}
