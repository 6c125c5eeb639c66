package report

import (
	"fmt"
	"math"
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// A View is a table of results: a row per library, a column per figure of a case.
type View struct {
	Name    string // of its plot's file; "" is not drawn
	Title   string
	Note    string // what a reader must know beside
	Log     bool   // draw on a logarithmic scale
	More    bool   // more is better, not less
	Columns []Column
	// Variant, if not "", is how the names of cases end in which a library does
	// more than asked, and variantLabel what that is: it gets a row of its own.
	Variant, VariantLabel string
	// Entries are the libraries in the order of the rows; nil: those in memory. A name
	// that is not among them is a yardstick and stands right behind the first.
	Entries []Entry
}

// An Entry is a library of a view.
type Entry struct {
	Name string
	Role library.Role
}

// A row is a library, or its variant.
type row struct{ label, library, variant string }

// A Column is one figure of one case.
type Column struct {
	Label  string
	Kase   string
	Figure string
	Unit   string  // "" where the label says it
	Scale  float64 // the figure is divided by it; 0 means 1
	Digits int     // behind the point
	Plain  bool    // without a ratio to keyrate
	Hidden bool    // in the table, not in the plot
	Own    string  // whose figure a goal is about; "" is keyrate
}

// own returns whose figure a goal is about.
func (c Column) own() string {
	if c.Own != "" {
		return c.Own
	}
	return library.Ours
}

// Microsecond is the unit of a microsecond as it is printed.
const Microsecond = "µs"

// text writes a value of the column.
func (c Column) text(v float64) string {
	if math.IsNaN(v) {
		return "-"
	}
	digits := c.Digits
	if digits == 0 && v != 0 && math.Abs(v) < 10 && v != math.Trunc(v) {
		digits = 1
	}
	return fmt.Sprintf("%.*f", digits, v)
}

// find returns the measurement of a row in the column, or nil.
func (c Column) find(s *Session, r row) *Measurement { return s.Find(c.Kase+r.variant, r.library) }

// value returns the median of a row in the column, NaN if there is none.
func (c Column) value(s *Session, r row) float64 {
	v, ok := c.find(s, r).Median(c.Figure)
	if !ok {
		return math.NaN()
	}
	if c.Scale != 0 {
		v /= c.Scale
	}
	return v
}

// rows returns the libraries that have a value in the view: keyrate first, then
// in the order of the list of libraries.
func (v View) rows(s *Session) []row {
	var names []string
	for _, m := range s.Measurements {
		if !slices.Contains(names, m.Library) {
			names = append(names, m.Library)
		}
	}
	slices.SortStableFunc(names, func(a, b string) int { return v.place(a) - v.place(b) })
	var rows []row
	for _, name := range names {
		for _, r := range []row{{name, name, ""}, {v.VariantLabel, name, v.Variant}} {
			measured := func(c Column) bool { return !math.IsNaN(c.value(s, r)) }
			if r.label != "" && slices.ContainsFunc(v.Columns, measured) {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// place returns where a name stands among the rows.
func (v View) place(name string) int {
	if at := v.find(name); at >= 0 {
		return 2 * at
	}
	return 1
}

// role returns what a name is compared for.
func (v View) role(name string) library.Role {
	if at := v.find(name); at >= 0 {
		return v.libraries()[at].Role
	}
	return library.Yardstick
}

func (v View) find(name string) int {
	return slices.IndexFunc(v.libraries(), func(e Entry) bool { return e.Name == name })
}

func (v View) libraries() []Entry {
	if v.Entries != nil {
		return v.Entries
	}
	entries := make([]Entry, 0, len(library.Libraries))
	for _, l := range library.Libraries {
		entries = append(entries, Entry{l.Name, l.Role})
	}
	return entries
}
