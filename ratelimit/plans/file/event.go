package file

import "time"

// An Event is one attempt to read the file again.
type Event struct {
	// Err is the reason why the file could not be used; nil if its limits are in force now.
	Err error
	// InForce is the version in force after the attempt. A failed attempt does not change it.
	InForce Version
	// Warnings are what [plans.TableConfig.Warnings] returns of the content that is in force.
	Warnings []string
	// Took is how long reading, checking and replacing took.
	Took time.Duration
}

// A Version is a content of the file that was put in force.
type Version struct {
	// Hash is the first 12 hexadecimal digits of the file's SHA-256, as sha256sum prints it.
	Hash string
	// Keys is how many keys have a plan or limits of their own, those of organisations
	// included. Plans and Organisations are how many of these there are.
	Keys, Plans, Organisations int
	// Since is when it was put in force. Reading an unchanged file again does not change it.
	Since time.Time
}

// A Status is the state of a [File], for a health check.
type Status struct {
	Version
	// Err is the error of the last attempt to read the file if that failed, so that the old
	// limits are in force. It is also set if the file was mounted alone and then deleted or
	// replaced where it comes from.
	Err error
	// ErrSince is when Err became non-nil; zero if it is nil.
	ErrSince time.Time
	// Warnings are what [plans.TableConfig.Warnings] returns of the content that is in force.
	Warnings []string
	// Watching reports whether [File.Watch] runs.
	Watching bool
	// Polling is the reason why Watch gets no events of the file system and only looks every
	// Config.Poll; nil if it gets them, or does not run.
	Polling error
	// Panics is the number of panics of Config.OnReload.
	Panics int
}

// fail sets Err and, if it was nil before, ErrSince.
func (s *Status) fail(err error) {
	switch s.Err = err; {
	case err == nil:
		s.ErrSince = time.Time{}
	case s.ErrSince.IsZero():
		s.ErrSince = time.Now()
	}
}
