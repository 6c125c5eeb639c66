package report

import (
	"fmt"
	"io"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// writeTable prints a view. Each cell is the median, half the range between the
// best and the worst round, and the ratio to keyrate.
func writeTable(w io.Writer, v View, s *Session) {
	rows := v.rows(s)
	if len(rows) == 0 {
		return
	}
	lines := [][]string{{""}}
	for _, c := range v.Columns {
		label := c.Label
		if c.Unit != "" {
			label += ", " + c.Unit
		}
		lines[0] = append(lines[0], label)
	}
	for _, r := range rows {
		line := []string{r.label}
		for _, c := range v.Columns {
			line = append(line, cell(c, s, r))
		}
		lines = append(lines, line)
	}
	fmt.Fprintf(w, "\n%s\n", v.Title)
	WriteAligned(w, lines)
	if v.Note != "" {
		fmt.Fprintf(w, "  (%s)\n", v.Note)
	}
}

// cell is one cell of a table, "" where nothing was measured.
func cell(c Column, s *Session, r row) string {
	value := c.value(s, r)
	if math.IsNaN(value) {
		return ""
	}
	samples := c.find(s, r).Samples[c.Figure]
	text := c.text(value)
	if around := spread(samples); around > 0 {
		text += fmt.Sprintf(" ±%.0f%%", 100*around)
	}
	if c.Plain {
		return text
	}
	if base, ok := s.Find(c.Kase, library.Ours).Median(c.Figure); ok && base != 0 {
		text += fmt.Sprintf(" %6s", times(Ratio(samples, s.Find(c.Kase, library.Ours).Samples[c.Figure])))
	}
	return text
}

// times writes a ratio.
func times(r float64) string {
	switch {
	case r < 10:
		return fmt.Sprintf("%.2fx", r)
	case r < 100:
		return fmt.Sprintf("%.1fx", r)
	default:
		return fmt.Sprintf("%.0fx", r)
	}
}

// WriteAligned prints lines of cells. It aligns the first column to the left and the
// others to the right.
func WriteAligned(w io.Writer, lines [][]string) {
	var widths []int
	for _, line := range lines {
		for i, text := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(text))
		}
	}
	for _, line := range lines {
		var b strings.Builder
		for i, text := range line {
			space := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(text))
			if i == 0 {
				b.WriteString("  " + text + space)
			} else {
				b.WriteString("  " + space + text)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}
