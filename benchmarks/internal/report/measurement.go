package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Figures are what one round of one case found of one library, by name: ns,
// bytes and allocs are per decision, anything else says its unit in its name.
type Figures map[string]float64

// A Measurement is one library in one case, with its figures of every round.
type Measurement struct {
	suite, kase, Library string
	Samples              map[string][]float64
}

// Median returns the median of a figure, and whether there is such a figure.
func (m *Measurement) Median(figure string) (float64, bool) {
	if m == nil || len(m.Samples[figure]) == 0 {
		return 0, false
	}
	return Median(m.Samples[figure]), true
}

// MarshalJSON writes the medians, and for more than one round the extremes of
// each figure that varies as name_min and name_max.
func (m *Measurement) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for _, field := range [][2]string{{"suite", m.suite}, {"case", m.kase}, {"library", m.Library}} {
		value, err := json.Marshal(field[1])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%q:%s,", field[0], value)
	}
	rounds := 0
	for _, name := range m.names() {
		samples := m.Samples[name]
		rounds = max(rounds, len(samples))
		fmt.Fprintf(&b, "%q:%s,", name, number(Median(samples)))
		if low, high := slices.Min(samples), slices.Max(samples); low != high {
			fmt.Fprintf(&b, "%q:%s,%q:%s,", name+"_min", number(low), name+"_max", number(high))
		}
	}
	fmt.Fprintf(&b, "\"rounds\":%d}", rounds)
	return b.Bytes(), nil
}

// names returns the names of the figures: those that every reader looks for
// first, then the others in alphabetical order.
func (m *Measurement) names() []string {
	first := []string{"ns", "bytes", "allocs"}
	names := slices.Collect(maps.Keys(m.Samples))
	slices.SortFunc(names, func(a, b string) int {
		at, bt := slices.Index(first, a), slices.Index(first, b)
		if at >= 0 && bt >= 0 {
			return at - bt
		}
		if at >= 0 || bt >= 0 {
			return bt - at
		}
		return bytes.Compare([]byte(a), []byte(b))
	})
	return names
}

// number writes a figure with four digits behind the point at most.
func number(v float64) string {
	s := strconv.FormatFloat(v, 'f', 4, 64)
	for s[len(s)-1] == '0' {
		s = s[:len(s)-1]
	}
	if s[len(s)-1] == '.' {
		s = s[:len(s)-1]
	}
	return s
}
