package file

import "time"

// An Event tells of one attempt to read the file anew.
type Event struct {
	// Err is why the file could not be used; nil if its limits are in force now.
	Err error
	// InForce is what is in force after the attempt: of an attempt that failed, what was
	// so before.
	InForce Version
	// Took is how long reading, checking and replacing took.
	Took time.Duration
}

// A Version is a content of the file that was put in force.
type Version struct {
	// Hash is the first 12 hexadecimal digits of the file's SHA-256, as sha256sum prints it.
	Hash string
	// Keys is how many keys have a plan or limits of their own, Plans how many plans there are.
	Keys, Plans int
	// Since is when it was put in force. A file that is read anew without a change keeps it.
	Since time.Time
}

// A Status says how a [File] fares, for a health check.
type Status struct {
	Version
	// Err is why the last attempt to read the file failed, and the old limits are in force;
	// nil if it did not. It is set, too, if the file was mounted alone and then deleted or
	// replaced where it comes from.
	Err error
	// ErrSince is since when Err is so; zero if it is nil.
	ErrSince time.Time
	// Watching says that [File.Watch] runs.
	Watching bool
	// Polling is why Watch hears of no changes, and looks for them every Config.Poll only;
	// nil if it hears of them, or does not run.
	Polling error
	// Panics is how often Config.OnReload panicked.
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
