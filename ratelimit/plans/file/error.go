package file

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Error is one fault of a file of limits. [Parse] joins one for each fault, in the
// order of their lines; errors.As finds the first.
//
// It never holds a key under members or keys: it names one by its line and the first digits of
// its SHA-256 hash, as `printf %s KEY | sha256sum` prints it. A key that is under plans by
// mistake is the name of a plan, and such names are shown.
type Error struct {
	File   string // as it was named to Parse or Open
	Line   int    // from 1; 0 if the fault is not one of a line
	Column int    // in characters, from 1; 0 if it is not known
	Place  string // what is wrong, such as "plans.gold"; "" for the whole file
	Found  string // what was found
	Want   string // what would be right
	Err    error  // the cause, where the operating system gave one
}

// Error returns a text that begins with file:line:column, which editors and terminals follow.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Column > 0 {
		fmt.Fprintf(&b, ":%d", e.Column)
	}
	b.WriteString(": ")
	if e.Place != "" {
		b.WriteString(e.Place + ": ")
	}
	b.WriteString("found " + e.Found)
	if e.Want != "" {
		b.WriteString("; " + e.Want)
	}
	if e.Err != nil {
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	return b.String()
}

// Unwrap returns the cause, if the operating system gave one.
func (e *Error) Unwrap() error { return e.Err }

// mostFaults is how many faults of a file are reported at most.
const mostFaults = 20

// faults collects the faults of one file.
type faults struct {
	file string
	list []*Error
	more int
}

// full reports whether further faults are only counted.
func (f *faults) full() bool { return len(f.list) == mostFaults }

func (f *faults) add(at position, place, found, want string) {
	if f.full() {
		f.more++
		return
	}
	f.list = append(f.list, &Error{File: f.file, Line: int(at.Line), Column: int(at.Column), Place: place, Found: found, Want: want})
}

// err joins the faults, in the order of their lines.
func (f *faults) err() error {
	if len(f.list) == 0 {
		return nil
	}
	slices.SortStableFunc(f.list, func(x, y *Error) int {
		return cmp.Or(cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
	var joined []error
	for _, e := range f.list {
		joined = append(joined, e)
	}
	if f.more > 0 {
		joined = append(joined, &Error{File: f.file, Found: fmt.Sprintf("%d more faults", f.more)})
	}
	return errors.Join(joined...)
}
