package main

import (
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// A goal is a figure that keyrate sets itself, and what it came to.
type goal struct {
	what string
	want string // such as "<= 0.75 x the fastest other"
	got  string // with the figures
	met  bool
}

// writeGoals prints a line per goal. It is a report: nothing fails by it.
func writeGoals(w io.Writer, suite string, goals []goal) {
	if len(goals) == 0 {
		return
	}
	lines := make([][]string, 0, len(goals))
	short := 0
	for _, g := range goals {
		verdict := "met"
		if !g.met {
			verdict = "short"
			short++
		}
		lines = append(lines, []string{"goal " + g.what, g.want, g.got, verdict})
	}
	fmt.Fprintf(w, "\ngoals of suite %s: %d met, %d short\n", suite, len(goals)-short, short)
	writeAligned(w, lines)
}

// atMost is the goal that a figure of keyrate is at most factor times the least
// of the others. It returns nothing if one of the two was not measured.
func (s *session) atMost(what string, factor float64, c column, others []string, called string) []goal {
	return s.against(what, "<=", factor, c, s.least(c, others), called)
}

// atLeast is the goal that a figure of keyrate is at least factor times the greatest
// of the others. It returns nothing if one of the two was not measured.
func (s *session) atLeast(what string, factor float64, c column, others []string, called string) []goal {
	return s.against(what, ">=", factor, c, s.greatest(c, others), called)
}

// against is the goal that a figure of keyrate is, by sign, so many times another's.
func (s *session) against(what, sign string, factor float64, c column, other *measurement, called string) []goal {
	own := s.find(c.kase, library.Ours)
	if own == nil || other == nil {
		return nil
	}
	r := ratio(own.samples[c.figure], other.samples[c.figure])
	met := r <= factor
	if sign == ">=" {
		met = r >= factor
	}
	return []goal{{
		what: what,
		want: fmt.Sprintf("%s %g x %s", sign, factor, called),
		got: fmt.Sprintf("%.2f x (%s, %s %s %s)", r, c.text(c.value(s, row{library: library.Ours})), other.library,
			c.text(c.value(s, row{library: other.library})), c.unit),
		met: met,
	}}
}

// below is the goal that a figure of keyrate is at most a bound.
func (s *session) below(what string, bound float64, c column) []goal {
	value := c.value(s, row{library: library.Ours})
	if math.IsNaN(value) {
		return nil
	}
	return []goal{{
		what: what,
		want: fmt.Sprintf("<= %g %s", bound, c.unit),
		got:  fmt.Sprintf("%s %s", c.text(value), c.unit),
		met:  value <= bound,
	}}
}

// least returns the measurement with the least figure among the libraries.
func (s *session) least(c column, libraries []string) *measurement {
	return s.first(c, libraries, func(a, b float64) bool { return a < b })
}

// greatest returns the measurement with the greatest figure among the libraries.
func (s *session) greatest(c column, libraries []string) *measurement {
	return s.first(c, libraries, func(a, b float64) bool { return a > b })
}

// first returns the measurement whose figure goes before all others of the libraries.
func (s *session) first(c column, libraries []string, before func(a, b float64) bool) *measurement {
	var best *measurement
	for _, m := range s.measurements {
		if m.kase != c.kase || !slices.Contains(libraries, m.library) {
			continue
		}
		v, ok := m.median(c.figure)
		if !ok {
			continue
		}
		if old, ok := best.median(c.figure); !ok || before(v, old) {
			best = m
		}
	}
	return best
}
