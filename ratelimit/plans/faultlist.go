package plans

import (
	"cmp"
	"errors"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
)

// mostFaults bounds how many faults of a table's entries are told.
const mostFaults = 20

// A faultList gathers the faults of a table, of which there may be as many as entries:
// it keeps those whose places come first, and counts the others.
type faultList struct {
	kept []*ratelimit.LimitError
	more int
}

func (l *faultList) add(fault *ratelimit.LimitError) {
	l.kept = append(l.kept, fault)
	if len(l.kept) >= 50*mostFaults {
		l.cut()
	}
}

// cut puts the faults in order, what holds for all of the table first, and keeps those
// that are told.
func (l *faultList) cut() {
	slices.SortStableFunc(l.kept, func(x, y *ratelimit.LimitError) int { return cmp.Compare(x.Field, y.Field) })
	if len(l.kept) > mostFaults {
		l.more += len(l.kept) - mostFaults
		clear(l.kept[mostFaults:])
		l.kept = l.kept[:mostFaults]
	}
}

// join returns the faults as one error, or nil.
func (l *faultList) join() error {
	l.cut()
	var faults []error
	for _, fault := range l.kept {
		faults = append(faults, fault)
	}
	if l.more > 0 {
		faults = append(faults, &ratelimit.LimitError{Field: "TableConfig", Value: l.more, Want: "more of its entries cannot be used"})
	}
	return errors.Join(faults...)
}
