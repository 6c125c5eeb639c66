package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// A view is a table of results: a row per library, a column per figure of a case.
type view struct {
	name    string // of its plot's file; "" is not drawn
	title   string
	note    string // what a reader must know beside
	log     bool   // draw on a logarithmic scale
	more    bool   // more is better, not less
	columns []column
	// variant, if not "", is how the names of cases end in which a library does
	// more than asked, and variantLabel what that is: it gets a row of its own.
	variant, variantLabel string
	// entries are the libraries in the order of the rows; nil: those in memory. A name
	// that is not among them is a yardstick and stands right behind the first.
	entries []entry
}

// An entry is a library of a view.
type entry struct {
	name string
	role library.Role
}

// A row is a library, or its variant.
type row struct{ label, library, variant string }

// A column is one figure of one case.
type column struct {
	label  string
	kase   string
	figure string
	unit   string  // "" where the label says it
	scale  float64 // the figure is divided by it; 0 means 1
	digits int     // behind the point
	plain  bool    // without a ratio to keyrate
	hidden bool    // in the table, not in the plot
}

// us is the unit of a microsecond as it is printed.
const us = "µs"

// text writes a value of the column.
func (c column) text(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	digits := c.digits
	if digits == 0 && v != 0 && math.Abs(v) < 10 && v != math.Trunc(v) {
		digits = 1
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// find returns the measurement of a row in the column, or nil.
func (c column) find(s *session, r row) *measurement { return s.find(c.kase+r.variant, r.library) }

// value returns the median of a row in the column, NaN if there is none.
func (c column) value(s *session, r row) float64 {
	v, ok := c.find(s, r).median(c.figure)
	if !ok {
		return math.NaN()
	}
	if c.scale != 0 {
		v /= c.scale
	}
	return v
}

// rows returns the libraries that have a value in the view: keyrate first, then
// in the order of the list of libraries.
func (v view) rows(s *session) []row {
	var names []string
	for _, m := range s.measurements {
		if !slices.Contains(names, m.library) {
			names = append(names, m.library)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return v.place(a) - v.place(b) })
	var rows []row
	for _, name := range names {
		for _, r := range []row{{name, name, ""}, {v.variantLabel, name, v.variant}} {
			measured := func(c column) bool { return !math.IsNaN(c.value(s, r)) }
			if r.label != "" && slices.ContainsFunc(v.columns, measured) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// place returns where a name stands among the rows.
func (v view) place(name string) int {
	if at := v.find(name); at >= 0 {
		return 2 * at
	}
	return 1
}

// role returns what a name is compared for.
func (v view) role(name string) library.Role {
	if at := v.find(name); at >= 0 {
		return v.libraries()[at].role
	}
	return library.Yardstick
}

func (v view) find(name string) int {
	return slices.IndexFunc(v.libraries(), func(e entry) bool { return e.name == name })
}

func (v view) libraries() []entry {
	if v.entries != nil {
		return v.entries
	}
	entries := make([]entry, 0, len(library.Libraries))
	for _, l := range library.Libraries {
		entries = append(entries, entry{l.Name, l.Role})
	}
	return entries
}
