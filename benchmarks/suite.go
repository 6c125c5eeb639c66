package main

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

// A suite is one kind of work for all libraries, and how its results are shown.
type suite struct {
	name  string
	run   func(context.Context, *session) error
	views func(*session) []view
	goals func(*session) []goal // nil: the suite has none
	// workers are those of the suite's children.
	workers child.Kinds
}

// A session is one run of a suite: what was asked for and what was found.
type session struct {
	quick        bool           // fewer and shorter rounds
	cases        *regexp.Regexp // of those that run
	libraries    []string       // that run; nil: all
	log          io.Writer
	started      time.Time
	measurements []*measurement
}

// add takes the figures of one round.
func (s *session) add(suite, kase, library string, round figures) {
	m := s.find(kase, library)
	if m == nil {
		m = &measurement{suite: suite, kase: kase, library: library, samples: map[string][]float64{}}
		s.measurements = append(s.measurements, m)
	}
	for name, value := range round {
		m.samples[name] = append(m.samples[name], value)
	}
}

// find returns the measurement of a library in a case, or nil.
func (s *session) find(kase, library string) *measurement {
	for _, m := range s.measurements {
		if m.kase == kase && m.library == library {
			return m
		}
	}
	return nil
}

// wants tells whether the command line selects a case.
func (s *session) wants(kase string) bool { return s.cases.MatchString(kase) }

// selected returns those of the libraries that the command line selects.
func (s *session) selected(all []library.Library) []library.Library {
	if s.libraries == nil {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(l library.Library) bool { return !slices.Contains(s.libraries, l.Name) })
}

// logf tells whoever waits what is going on.
func (s *session) logf(format string, args ...any) {
	fmt.Fprintf(s.log, "%4.0f s  %s\n", time.Since(s.started).Seconds(), fmt.Sprintf(format, args...))
}
