package replay

import (
	"errors"
	"math"
	"strconv"
)

// A parser reads the lines of one file.
type parser interface {
	// parse reads a line that is not empty and has no line break into e, which is zero. Key and
	// plan may be parts of the line.
	parse(line []byte, e *entry) error
}

// An entry is what counts of a line.
type entry struct {
	at        int64 // in microseconds since 1970
	key, plan []byte
	cost      uint32
}

// What can be wrong with a line. The texts hold nothing of it.
var (
	errHeading = errors.New("is the heading") // of a CSV file: no fault
	errNoTime  = errors.New("has no field for the time")
	errTime    = errors.New("has a time in another form than " + commonLayout + ", RFC 3339 or a number since 1970")
	errNoCost  = errors.New("has no field for the cost")
	errCost    = errors.New("has a cost that is not a whole number from 0 to 2^31-1")
	errQuote   = errors.New("has a quote or bracket that does not end")
	errJSON    = errors.New("is not a JSON object")
	errValue   = errors.New("has an object or an array where a text or a number must be")
	errLong    = errors.New("is longer than 256 KiB")
)

// set takes the texts of the fields; a nil plan or cost is missing.
func (e *entry) set(time, key, plan, cost []byte, priced bool) error {
	if len(time) == 0 {
		return errNoTime
	}
	var ok bool
	if e.at, ok = instant(time); !ok {
		return errTime
	}
	e.key, e.plan, e.cost = given(key), given(plan), 1
	if priced {
		e.cost = 0
		if len(cost) == 0 {
			return errNoCost
		}
		if given(cost) != nil {
			n, err := strconv.ParseUint(string(cost), 10, 32)
			if err != nil || n > math.MaxInt32 {
				return errCost
			}
			e.cost = uint32(n)
		}
	}
	return nil
}

// given returns a text, or nil for one that stands for none.
func given(text []byte) []byte {
	if len(text) == 0 || len(text) == 1 && text[0] == '-' {
		return nil
	}
	return text
}
