package table

import (
	"errors"
	"fmt"
	"time"

	"github.com/keyrate/keyrate/store"
)

// A Status is the state of a [Table], for a health check.
type Status struct {
	// Version is the version in force, as [Table.Changes] has it: 1 for the initial table.
	Version int64
	// Err is the error of the last attempt to follow Redis, nil if it succeeded.
	Err error
	// ErrSince is when Err became non-nil; zero if it is nil.
	ErrSince time.Time
	// FileErr is the error of the last attempt to write or read Config.File.
	FileErr error
	// Running reports whether [Table.Run] runs.
	Running bool
}

// set sets Err and, if it was nil before, ErrSince.
func (s *Status) set(err error) {
	switch s.Err = err; {
	case err == nil:
		s.ErrSince = time.Time{}
	case s.ErrSince.IsZero():
		s.ErrSince = time.Now()
	}
}

// Status returns what is in force, and whether the last attempt to follow Redis failed.
func (t *Table) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.status
	s.Running = t.running.Load() > 0
	return s
}

// Warnings returns what an operator should know, for [ratelimit.Limiter.Check].
func (t *Table) Warnings() []string {
	var all []string
	s := t.Status()
	if !s.Running {
		all = append(all, "the table of the fleet is not followed: Table.Run does not run")
	}
	if ahead, ok := errors.AsType[*aheadError](s.Err); ok {
		all = append(all, fmt.Sprintf("the table of the fleet cannot be followed since %s: %v", s.ErrSince.UTC().Format(time.RFC3339), ahead))
	} else if s.Err != nil {
		all = append(all, fmt.Sprintf("the table of the fleet cannot be followed since %s (%s); version %d stays in force", s.ErrSince.UTC().Format(time.RFC3339), store.ErrorClass(s.Err), s.Version))
	}
	if s.FileErr != nil {
		all = append(all, "the last good copy of the table cannot be kept in Config.File of the table")
	}
	return all
}
