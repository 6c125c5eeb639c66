package plans

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/internal/jsontext"
)

// A placedError is a fault of a text, with its place in that.
type placedError struct {
	at jsontext.Position
	*ratelimit.LimitError
}

// Error returns the text of the fault, behind its place.
func (f *placedError) Error() string {
	return fmt.Sprintf("line %d, column %d: %v", f.at.Line, f.at.Column, f.LimitError)
}

// Unwrap returns the fault without its place: a list, for ratelimit.Faults.
func (f *placedError) Unwrap() []error { return []error{f.LimitError} }

// Format prints the text for every verb: the fields of the fault are not for logs.
func (f *placedError) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(f.Error())) }

// Position returns the place of the fault: line and column from 1, the column in characters.
func (f *placedError) Position() (line, column int) { return int(f.at.Line), int(f.at.Column) }

// mostFaults is how many faults are reported at most.
const mostFaults = 20

// A faultList gathers the faults of a table, which may be as many as its entries. It keeps the
// first ones by place, and counts the others.
type faultList struct {
	kept []*placedError
	more int
}

func (l *faultList) add(fault *placedError) {
	l.kept = append(l.kept, fault)
	if len(l.kept) >= 50*mostFaults {
		l.cut()
	}
}

// cut sorts the faults, by field where they have no place, and keeps those that are reported.
func (l *faultList) cut() {
	slices.SortStableFunc(l.kept, func(x, y *placedError) int {
		return cmp.Or(cmp.Compare(x.at.Line, y.at.Line), cmp.Compare(x.at.Column, y.at.Column), cmp.Compare(x.Field, y.Field))
	})
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
		if fault.at == (jsontext.Position{}) {
			faults = append(faults, fault.LimitError)
		} else {
			faults = append(faults, fault)
		}
	}
	if l.more > 0 {
		faults = append(faults, &ratelimit.LimitError{Field: "TableConfig", Value: l.more, Want: "more of its entries cannot be used"})
	}
	return errors.Join(faults...)
}
