package file

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyrate/keyrate/ratelimit/plans"
	"github.com/keyrate/keyrate/store"
)

// Config configures [Open]. The zero value is ready to use.
type Config struct {
	// OnReload, if not nil, is called after each attempt of Reload, and of Watch when the file
	// has changed, one call at a time. It must not call Reload. Status counts its panics, which
	// have no other effect.
	OnReload func(Event)
	// Replace, if not nil, is called with the limits of a changed file in place of replacing the
	// table of [File.Table], such as to give them to all nodes of a fleet. Watch also calls it
	// when it begins, with those that Open has read. After an error, which OnReload and Status
	// report, Watch tries again. A panic is an error.
	Replace func(plans.TableConfig) error
	// Settle is how long the file must stay unchanged before Watch reads it, so that Watch does
	// not read a half-written file. 0 means 100 ms. A program that writes more slowly must write
	// a file of another name and rename it. While a file keeps changing, the old limits stay in
	// force.
	Settle time.Duration
	// Poll is how often Watch looks at the file without an event, for file systems that send
	// none. 0 means 2 s.
	Poll time.Duration

	deaf bool // no events, in tests
}

// A File is a table of limits that is read from a file. Make one with [Open]. Its methods are
// safe for concurrent use. It has nothing to close.
type File struct {
	path   string
	config Config
	table  *plans.Table

	reading sync.Mutex // one attempt at a time, with its event
	seen    look       // of the last attempt; guarded by reading
	outcome string     // of the last attempt: the hash and why it could not be read, if so

	mu     sync.Mutex
	status Status // guarded by mu

	watchers atomic.Int32 // calls of Watch that run
	failures atomic.Int64 // attempts that failed
}

// Open reads a file of limits, JSON if its name ends in .json, else YAML. The error joins the
// faults of the file or of c. Open starts no goroutine: call [File.Watch] on one.
func Open(path string, c Config) (*File, error) {
	var errs []error
	for _, field := range []struct {
		name  string
		value *time.Duration
		usual time.Duration
	}{{"Settle", &c.Settle, 100 * time.Millisecond}, {"Poll", &c.Poll, 2 * time.Second}} {
		if *field.value < 0 {
			errs = append(errs, fmt.Errorf("file: Config.%s %v must not be negative; 0 means %v", field.name, *field.value, field.usual))
		}
		if *field.value == 0 {
			*field.value = field.usual
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	// The working directory of the program may change.
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, &Error{File: path, Found: "a path that cannot be used", Err: err}
	}
	f := &File{path: absolute, config: c}
	s, err := f.read()
	if err != nil && !errors.Is(err, errUnlinked) {
		return nil, err
	}
	stale := err
	tableConfig, err := Parse(path, s.data)
	if err != nil {
		return nil, err
	}
	if f.table, err = plans.NewTable(tableConfig); err != nil {
		return nil, &Error{File: path, Found: "limits that cannot be used", Err: err}
	}
	if f.seen = s.look; c.Replace == nil { // else Watch has yet to give it away
		f.outcome = s.outcome(stale)
	}
	f.status.Version, f.status.Warnings = versionOf(s, tableConfig), tableConfig.Warnings()
	f.status.fail(stale)
	return f, nil
}

func versionOf(s snapshot, c plans.TableConfig) Version {
	keys := len(c.Members) + len(c.Keys)
	for _, o := range c.Organisations {
		keys += len(o.Members) + len(o.Keys)
	}
	return Version{Hash: s.hash, Keys: keys, Plans: len(c.Plans), Organisations: len(c.Organisations), Since: time.Now()}
}

// Table returns the table that holds the limits of the file: always the same one.
func (f *File) Table() *plans.Table { return f.table }

// Status returns what is in force, and whether the last attempt to read the file failed.
func (f *File) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.status
	if s.Watching = f.watchers.Load() > 0; !s.Watching {
		s.Polling = nil
	}
	return s
}

// Reload reads the file now, changed or not, and puts its limits in force. On an error, that of
// [Parse] or of the operating system, the old limits stay in force. Reload also returns an error
// for a file that was mounted alone and then replaced: see the package comment.
func (f *File) Reload() error {
	f.reading.Lock()
	defer f.reading.Unlock()
	begun := time.Now()
	s, err := f.read()
	return f.put(s, err, begun)
}

// read reads the file. While the file is being written it waits, at most 10 times Settle.
func (f *File) read() (s snapshot, err error) {
	for range 10 {
		if s, err = readFile(f.path); !errors.Is(err, errUnsteady) {
			break
		}
		time.Sleep(f.config.Settle)
	}
	return s, err
}

// put puts a snapshot in force if it can be used, and reports the attempt.
func (f *File) put(s snapshot, err error, begun time.Time) error {
	f.seen, f.outcome = s.look, s.outcome(err)
	var stale error
	if errors.Is(err, errUnlinked) {
		stale, err = err, nil // its content can be used
	}
	var c plans.TableConfig
	if err == nil {
		c, err = Parse(f.path, s.data)
	}
	if err == nil {
		err = f.replace(c)
	}
	f.mu.Lock()
	if err == nil {
		err = stale
		if f.status.Hash != s.hash {
			f.status.Version, f.status.Warnings = versionOf(s, c), c.Warnings()
		}
	}
	f.status.fail(err)
	if err != nil {
		f.failures.Add(1)
	}
	e := Event{Err: err, InForce: f.status.Version, Warnings: f.status.Warnings, Took: time.Since(begun)}
	f.mu.Unlock()
	f.report(e)
	return err
}

// replace puts limits in force. If they were given to Config.Replace in vain, the file counts as
// one that has changed since.
func (f *File) replace(c plans.TableConfig) (err error) {
	if f.config.Replace == nil {
		return f.table.Replace(c)
	}
	if panicked := store.Try(func() { err = f.config.Replace(c) }); panicked != nil {
		err = panicked
	}
	if err != nil {
		f.seen, f.outcome = look{}, ""
	}
	return err
}

// report calls the hook. The value of a panic is not shown: it may hold anything.
func (f *File) report(e Event) {
	if f.config.OnReload == nil {
		return
	}
	if store.Try(func() { f.config.OnReload(e) }) != nil {
		f.mu.Lock()
		f.status.Panics++
		f.mu.Unlock()
	}
}
