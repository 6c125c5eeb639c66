package reply

import (
	"strconv"
	"time"
)

// ceilSeconds rounds d up to whole seconds.
func ceilSeconds(d time.Duration) int64 { return ceil(d, time.Second) }

// ceil returns how many units d takes, begun ones included.
func ceil(d, unit time.Duration) int64 {
	n := d / unit
	if d%unit > 0 {
		n++
	}
	return int64(n)
}

// appendPeriod appends a period as one number and one unit, the largest of which it
// is a multiple.
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
