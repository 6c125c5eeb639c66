package file

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Watch reloads the file whenever it changes, until ctx ends, and returns the cause of that. It
// runs on the caller's goroutine and starts none that outlives it. A broken file does not stop
// it: Config.OnReload and [File.Status] report the fault. With Config.Replace, it begins with the
// file that Open has read.
//
// It watches folders, so it sees a file that is replaced by another, as by editors, and a
// symbolic link with a new target, as of Kubernetes. It does not put content in force again that
// has not changed, even if the time of the file has.
func (f *File) Watch(ctx context.Context) error {
	f.watchers.Add(1)
	defer f.watchers.Add(-1)
	w := watch{file: f}
	defer w.close()
	poll := time.NewTicker(f.config.Poll)
	defer poll.Stop()
	settled := time.NewTimer(f.config.Settle)
	defer settled.Stop()

	// There is no event for a change before the folder was watched.
	w.open()
	due, last := true, lookAt(f.path)
	wake := func() {
		due, last = true, lookAt(f.path)
		settled.Reset(f.config.Settle)
	}
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case e, ok := <-w.events():
			switch {
			case !ok:
				w.close()
			case w.concerns(e.Name), !due && f.differs():
				wake()
			}
		case err, ok := <-w.errors():
			if !ok || !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.close() // it is opened again at the next look
			}
			wake()
		case <-poll.C:
			w.open()
			if !due && f.differs() {
				wake()
			}
		case <-settled.C:
			if now := lookAt(f.path); !now.same(last) {
				wake() // it is being written
				continue
			}
			if due = f.reloadChanged(); due {
				wake()
			} else {
				w.open() // the file may be a link to another folder now
			}
		}
	}
}

// differs reports whether the file may have changed since the last attempt.
func (f *File) differs() bool {
	f.reading.Lock()
	defer f.reading.Unlock()
	now := lookAt(f.path)
	return !now.same(f.seen) || now.recent()
}

// reloadChanged reads the file and puts it in force, unless the last attempt found the same. It
// returns true if the file was written during that.
func (f *File) reloadChanged() (again bool) {
	f.reading.Lock()
	defer f.reading.Unlock()
	begun := time.Now()
	s, err := readFile(f.path)
	switch {
	case errors.Is(err, errUnsteady):
		return true
	case f.outcome == s.outcome(err):
		f.seen = s.look
		return false
	}
	_ = f.put(s, err, begun) // the event has it
	return false
}

// A watch gets the events of the folders of a file: that of its name and, if it is a link, that
// of its target.
type watch struct {
	file    *File
	watcher *fsnotify.Watcher
	folders map[string]os.FileInfo
}

// open watches the folders that are not watched yet. While that fails, the file is polled.
func (w *watch) open() {
	err := w.follow()
	if err != nil {
		w.close()
	}
	w.file.mu.Lock()
	w.file.status.Polling = err
	w.file.mu.Unlock()
}

var errDeaf = errors.New("nothing can be watched")

func (w *watch) follow() (err error) {
	if w.file.config.deaf {
		return errDeaf
	}
	if w.watcher == nil {
		if w.watcher, err = fsnotify.NewWatcher(); err != nil {
			return err
		}
		w.folders = map[string]os.FileInfo{}
	}
	folders := []string{filepath.Dir(w.file.path)}
	if target, err := filepath.EvalSymlinks(w.file.path); err == nil && !slices.Contains(folders, filepath.Dir(target)) {
		folders = append(folders, filepath.Dir(target))
	}
	for name := range w.folders {
		if !slices.Contains(folders, name) {
			_ = w.watcher.Remove(name) // it may be gone
			delete(w.folders, name)
		}
	}
	for _, name := range folders {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) && name != folders[0] {
			continue // the link was turned since: the folder in which it is named reports it
		}
		if err != nil {
			return err
		}
		if before := w.folders[name]; before != nil {
			if os.SameFile(before, info) && slices.Contains(w.watcher.WatchList(), name) {
				continue
			}
			_ = w.watcher.Remove(name) // another folder has its name now
		}
		if err := w.watcher.Add(name); err != nil {
			return err
		}
		w.folders[name] = info
	}
	return nil
}

func (w *watch) close() {
	if w.watcher != nil {
		_ = w.watcher.Close() // a failure has no remedy
	}
	w.watcher, w.folders = nil, nil
}

// concerns reports whether an event is certainly about the file.
func (w *watch) concerns(name string) bool {
	return filepath.Base(name) == filepath.Base(w.file.path)
}

// events is nil, which blocks, while nothing is watched.
func (w *watch) events() <-chan fsnotify.Event {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Events
}

func (w *watch) errors() <-chan error {
	if w.watcher == nil {
		return nil
	}
	return w.watcher.Errors
}
