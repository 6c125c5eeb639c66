package main

import (
	"slices"
	"syscall"
	"time"
)

// processorTime returns how much processor time this process has used, the system's for
// it included. Time in which other processes had the core does not count.
func processorTime() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, err
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}

// sliceTime is how long a slice lasts. Processor time is counted in microseconds.
const sliceTime = 2 * time.Millisecond

// A slicer times work in slices.
type slicer struct {
	work  func(calls int) error
	now   func() (time.Duration, error)
	calls int       // in a slice
	total int       // calls so far
	found []float64 // nanoseconds per call
}

// slice does one slice of work. The first ones find out how many calls fill it.
func (s *slicer) slice() error {
	s.calls = max(s.calls, 256)
	for {
		before, err := s.now()
		if err != nil {
			return err
		}
		if err := s.work(s.calls); err != nil {
			return err
		}
		s.total += s.calls
		after, err := s.now()
		if err != nil {
			return err
		}
		if took := after - before; len(s.found) > 0 || took >= sliceTime/2 {
			s.found = append(s.found, float64(took)/float64(s.calls))
			return nil
		}
		s.calls *= 2
	}
}

// run does slices for a while, by the slicer's own clock: on a busy machine it takes longer,
// and is as exact.
func (s *slicer) run(span time.Duration, more ...*slicer) error {
	start, err := s.now()
	if err != nil {
		return err
	}
	for now := start; now-start < span; {
		for _, one := range append(more, s) {
			if err := one.slice(); err != nil {
				return err
			}
		}
		if now, err = s.now(); err != nil {
			return err
		}
	}
	return nil
}

// result returns the lower quartile of the slices and forgets them: what disturbs a slice
// makes it longer, never shorter.
func (s *slicer) result() float64 {
	slices.Sort(s.found)
	ns := s.found[len(s.found)/4]
	s.found = s.found[:0]
	return ns
}
