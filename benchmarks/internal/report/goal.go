package report

import (
	"fmt"
	"io"
	"math"
	"slices"
)

// A Goal is a figure that keyrate aims at, and what was measured.
type Goal struct {
	What string
	Want string // such as "<= 0.75 x the fastest other"
	Got  string // with the figures
	Met  bool
}

// writeGoals prints a line per goal. A goal that is missed fails nothing.
func writeGoals(w io.Writer, suite string, goals []Goal) {
	if len(goals) == 0 {
		return
	}
	lines := make([][]string, 0, len(goals))
	short := 0
	for _, g := range goals {
		verdict := "met"
		if !g.Met {
			verdict = "short"
			short++
		}
		lines = append(lines, []string{"goal " + g.What, g.Want, g.Got, verdict})
	}
	fmt.Fprintf(w, "\ngoals of suite %s: %d met, %d short\n", suite, len(goals)-short, short)
	WriteAligned(w, lines)
}

// AtMost is the goal that a figure of keyrate is at most factor times the least
// of the others. It returns nothing if one of the two was not measured.
func (s *Session) AtMost(what string, factor float64, c Column, others []string, called string) []Goal {
	return s.against(what, "<=", factor, c, s.least(c, others), called)
}

// AtLeast is the goal that a figure of keyrate is at least factor times the greatest
// of the others. It returns nothing if one of the two was not measured.
func (s *Session) AtLeast(what string, factor float64, c Column, others []string, called string) []Goal {
	return s.against(what, ">=", factor, c, s.greatest(c, others), called)
}

// against is the goal that a figure of keyrate is, by sign, so many times another's.
func (s *Session) against(what, sign string, factor float64, c Column, other *Measurement, called string) []Goal {
	own := s.Find(c.Kase, c.own())
	if own == nil || other == nil {
		return nil
	}
	r := Ratio(own.Samples[c.Figure], other.Samples[c.Figure])
	met := r <= factor
	if sign == ">=" {
		met = r >= factor
	}
	return []Goal{{
		What: what,
		Want: fmt.Sprintf("%s %g x %s", sign, factor, called),
		Got: fmt.Sprintf("%.2f x (%s, %s %s %s)", r, c.text(c.value(s, row{library: c.own()})), other.Library,
			c.text(c.value(s, row{library: other.Library})), c.Unit),
		Met: met,
	}}
}

// Below is the goal that a figure of keyrate is at most a bound.
func (s *Session) Below(what string, bound float64, c Column) []Goal {
	value := c.value(s, row{library: c.own()})
	if math.IsNaN(value) {
		return nil
	}
	return []Goal{{
		What: what,
		Want: fmt.Sprintf("<= %g %s", bound, c.Unit),
		Got:  fmt.Sprintf("%s %s", c.text(value), c.Unit),
		Met:  value <= bound,
	}}
}

// least returns the measurement with the least figure among the libraries.
func (s *Session) least(c Column, libraries []string) *Measurement {
	return s.first(c, libraries, func(a, b float64) bool { return a < b })
}

// greatest returns the measurement with the greatest figure among the libraries.
func (s *Session) greatest(c Column, libraries []string) *Measurement {
	return s.first(c, libraries, func(a, b float64) bool { return a > b })
}

// first returns the measurement whose figure goes before all others of the libraries.
func (s *Session) first(c Column, libraries []string, before func(a, b float64) bool) *Measurement {
	var best *Measurement
	for _, m := range s.Measurements {
		if m.kase != c.Kase || !slices.Contains(libraries, m.Library) {
			continue
		}
		v, ok := m.Median(c.Figure)
		if !ok {
			continue
		}
		if old, ok := best.Median(c.Figure); !ok || before(v, old) {
			best = m
		}
	}
	return best
}
