package report

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/library"
)

// A Suite is one kind of work for all libraries, and how its results are shown.
type Suite struct {
	Name  string
	Run   func(context.Context, *Session) error
	Views func(*Session) []View
	Goals func(*Session) []Goal // nil: the suite has none
	// Workers are those of the suite's children.
	Workers child.Kinds
}

// A Session is one run of a suite: what the command line selects, and the measurements.
type Session struct {
	Quick        bool           // fewer and shorter rounds
	cases        *regexp.Regexp // of those that run
	Libraries    []string       // that run; nil: all
	log          io.Writer
	started      time.Time
	Measurements []*Measurement
}

// Add adds the figures of one round.
func (s *Session) Add(suite, kase, library string, round Figures) {
	m := s.Find(kase, library)
	if m == nil {
		m = &Measurement{suite: suite, kase: kase, Library: library, Samples: map[string][]float64{}}
		s.Measurements = append(s.Measurements, m)
	}
	for name, value := range round {
		m.Samples[name] = append(m.Samples[name], value)
	}
}

// Find returns the measurement of a library in a case, or nil.
func (s *Session) Find(kase, library string) *Measurement {
	for _, m := range s.Measurements {
		if m.kase == kase && m.Library == library {
			return m
		}
	}
	return nil
}

// Wants reports whether the command line selects a case.
func (s *Session) Wants(kase string) bool { return s.cases.MatchString(kase) }

// Selected returns those of the libraries that the command line selects.
func (s *Session) Selected(all []library.Library) []library.Library {
	if s.Libraries == nil {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(l library.Library) bool { return !slices.Contains(s.Libraries, l.Name) })
}

// Logf prints what is measured now.
func (s *Session) Logf(format string, args ...any) {
	fmt.Fprintf(s.log, "%4.0f s  %s\n", time.Since(s.started).Seconds(), fmt.Sprintf(format, args...))
}
