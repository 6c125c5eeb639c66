package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
	"github.com/keyrate/keyrate/ratelimit"
)

// A watched file under test.
type watched struct {
	*File
	t    testing.TB
	path string

	mu  sync.Mutex
	all []Event
}

func content(rate int) string { return fmt.Sprintf("default: %d/s\n", rate) }

// watchFile watches a file in a folder of its own until the test ends.
func watchFile(t testing.TB, path string, c Config) *watched {
	t.Helper()
	w := &watched{t: t, path: path}
	c.OnReload = func(e Event) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = append(w.all, e)
	}
	file, err := Open(path, c)
	if err != nil {
		t.Fatal(err)
	}
	w.File = file
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- file.Watch(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Watch ended with %v", err)
		}
		if file.Status().Watching {
			t.Error("it says that it is still watched")
		}
	})
	w.until("it is watched", func() bool { return file.Status().Watching })
	return w
}

func newWatched(t testing.TB, c Config) *watched {
	t.Helper()
	path := filepath.Join(t.TempDir(), "limits.yaml")
	put(t, path, content(1))
	return watchFile(t, path, c)
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// until waits for something that must come to pass.
func (w *watched) until(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%s: never; status %+v, events %+v", what, w.Status(), w.events())
		}
	}
}

func (w *watched) events() []Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]Event(nil), w.all...)
}

func (w *watched) limit() string {
	w.t.Helper()
	p, err := w.Table().PolicyFor(w.t.Context(), "anyone")
	if err != nil {
		w.t.Fatal(err)
	}
	return p.String()
}

// holds waits until a limit is in force and an event has reported it.
func (w *watched) holds(rate int) {
	w.t.Helper()
	w.until(fmt.Sprintf("%d/s", rate), func() bool {
		all := w.events()
		return w.limit() == fmt.Sprintf("%d/s", rate) && w.Status().Err == nil && len(all) > 0 && all[len(all)-1].Err == nil
	})
}

// fails waits until an event reports a fault, with the old limit in force.
func (w *watched) fails(rate int, want string) {
	w.t.Helper()
	w.until(want, func() bool {
		err, all := w.Status().Err, w.events() // the event comes a moment after the status
		return err != nil && strings.Contains(err.Error(), want) && len(all) > 0 && all[len(all)-1].Err != nil
	})
	all := w.events()
	if last := all[len(all)-1]; last.Err == nil || w.limit() != fmt.Sprintf("%d/s", rate) || w.Status().ErrSince.IsZero() {
		w.t.Errorf("%s is in force after %+v", w.limit(), last)
	}
}

// count waits a while for events that must not come, and wants so many in all.
func (w *watched) count(want int) {
	w.t.Helper()
	time.Sleep(3*w.config.Settle + 2*min(w.config.Poll, 200*time.Millisecond))
	if all := w.events(); len(all) != want {
		w.t.Errorf("%d events, want %d: %+v", len(all), want, all)
	}
}

// both runs a test with what the operating system reports, and with looks alone as on a
// network's file system, which learn that nothing can be watched. What fails while
// the machine stalls for half of Settle is played again: what is written in pieces then
// looks complete.
func both(t *testing.T, test func(t testing.TB, c Config)) {
	play := func(c Config) func(t *testing.T) {
		return func(t *testing.T) {
			t.Parallel()
			testkit.WatchStalls(t).Replay(t, c.Settle/2, func(t testing.TB) { test(t, c) })
		}
	}
	t.Run("events", play(Config{Settle: 50 * time.Millisecond, Poll: time.Hour}))
	t.Run("polled", play(Config{Settle: 50 * time.Millisecond, Poll: 20 * time.Millisecond, deaf: true}))
}

// TestWatchWrites: a file that is written in place.
func TestWatchWrites(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		w := newWatched(t, c)
		put(t, w.path, content(2))
		w.holds(2)
		put(t, w.path, "default: 3\n")
		w.fails(2, "limits.yaml:1:10: default: found 3; must be")
		put(t, w.path, content(2)) // as it was before: that mends the fault
		w.until("mended", func() bool { return w.Status().Err == nil })
		w.count(3)
		put(t, w.path, content(2)) // nothing new
		must(t, os.Chtimes(w.path, time.Time{}, time.Now().Add(time.Minute)))
		must(t, os.Chmod(w.path, 0o640))
		put(t, filepath.Join(filepath.Dir(w.path), "other.yaml"), content(9))
		w.count(3)
	})
}

// TestWatchRename: most editors write another file and rename it.
func TestWatchRename(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		w := newWatched(t, c)
		for rate := 2; rate < 5; rate++ {
			must(t, os.Rename(w.path, w.path+"~")) // vim keeps the old one as a copy
			put(t, w.path+".tmp", content(rate))
			must(t, os.Rename(w.path+".tmp", w.path))
			w.holds(rate)
			must(t, os.Remove(w.path+"~"))
		}
		w.count(3)
	})
}

// TestWatchKubernetes: a volume of a ConfigMap is a link to a link to a folder with a
// date, and the link in the middle is turned.
func TestWatchKubernetes(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		if runtime.GOOS == "windows" {
			t.Skip("it needs symbolic links")
		}
		dir := t.TempDir()
		mount := func(version, rate int) {
			folder := fmt.Sprintf("..2026_01_%02d", version)
			must(t, os.Mkdir(filepath.Join(dir, folder), 0o700))
			put(t, filepath.Join(dir, folder, "limits.yaml"), content(rate))
			must(t, os.Symlink(folder, filepath.Join(dir, "..data_tmp")))
			must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
			if version > 1 {
				must(t, os.RemoveAll(filepath.Join(dir, fmt.Sprintf("..2026_01_%02d", version-1))))
			}
		}
		mount(1, 1)
		must(t, os.Symlink(filepath.Join("..data", "limits.yaml"), filepath.Join(dir, "limits.yaml")))
		w := watchFile(t, filepath.Join(dir, "limits.yaml"), c)
		for version := 2; version < 6; version++ {
			mount(version, version)
			w.holds(version)
		}
		w.count(4)
	})
}

// TestWatchLink: the file is a link into another folder, where it is written, and then a
// link into a third.
func TestWatchLink(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		if runtime.GOOS == "windows" {
			t.Skip("it needs symbolic links")
		}
		first, second := filepath.Join(t.TempDir(), "a.yaml"), filepath.Join(t.TempDir(), "b.yaml")
		link := filepath.Join(t.TempDir(), "limits.yaml")
		put(t, first, content(1))
		put(t, second, content(3))
		must(t, os.Symlink(first, link))
		w := watchFile(t, link, c)
		put(t, first, content(2))
		w.holds(2)
		must(t, os.Symlink(second, link+".tmp"))
		must(t, os.Rename(link+".tmp", link))
		w.holds(3)
		stalls, start := testkit.WatchStalls(t), time.Now()
		time.Sleep(3 * c.Settle) // the new folder is watched once the file was read
		time.Sleep(stalls.Widen(0, start))
		put(t, second, content(4))
		w.holds(4)
	})
}

// TestWatchPieces: a file that is truncated and written slowly. Every half of it would
// parse, and must never be in force.
func TestWatchPieces(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		c.Settle = 300 * time.Millisecond
		w := newWatched(t, c)
		file, err := os.Create(w.path)
		must(t, err)
		for piece := range 20 {
			rate := 2
			if piece == 19 {
				rate = 3
			}
			if piece == 0 {
				_, err = file.WriteString(content(rate) + "keys:\n")
			} else {
				_, err = fmt.Fprintf(file, "  key%d: %d/s\n", piece, rate)
			}
			must(t, err)
			time.Sleep(20 * time.Millisecond)
		}
		must(t, file.Close())
		w.until("an event", func() bool { return len(w.events()) > 0 })
		w.count(1)
		if e := w.events()[0]; e.Err != nil || e.InForce.Keys != 19 {
			t.Errorf("%+v", e)
		}
	})
}

// TestWatchQuickEdits: the last content wins, always, even with the same size and within
// the precision of the file's time.
func TestWatchQuickEdits(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		c.Settle = 10 * time.Millisecond
		w := newWatched(t, c)
		for round := range 5 {
			for edit := range 100 {
				rate := 100 + edit
				if edit == 99 {
					rate = 200 + round
				}
				if edit%3 == 0 {
					put(t, w.path+".tmp", content(rate))
					must(t, os.Rename(w.path+".tmp", w.path))
				} else {
					put(t, w.path, content(rate))
				}
				if edit%10 == 0 {
					time.Sleep(time.Duration(edit%4) * 5 * time.Millisecond)
				}
			}
			w.holds(200 + round)
		}
	})
}

// TestWatchSameTime: a second content with the size, the time and the inode of the first.
func TestWatchSameTime(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		w := newWatched(t, c)
		at := time.Now()
		for rate := 2; rate < 5; rate++ {
			put(t, w.path, content(rate))
			must(t, os.Chtimes(w.path, at, at))
			w.holds(rate)
		}
	})
}

// TestWatchMissing: a file that is gone, and its folder, and both again.
func TestWatchMissing(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		if c.Poll == time.Hour {
			c.Poll = 100 * time.Millisecond // a folder that is gone sends no events
		}
		dir := filepath.Join(t.TempDir(), "config")
		must(t, os.Mkdir(dir, 0o700))
		path := filepath.Join(dir, "limits.yaml")
		put(t, path, content(1))
		w := watchFile(t, path, c)
		must(t, os.Remove(path))
		w.fails(1, "a file that cannot be opened")
		if !errors.Is(w.Status().Err, fs.ErrNotExist) {
			t.Errorf("no fs.ErrNotExist: %v", w.Status().Err)
		}
		w.count(1)
		put(t, path, content(1))
		w.until("it is back", func() bool { return w.Status().Err == nil })
		w.count(2)

		for rate := 2; rate < 4; rate++ {
			must(t, os.RemoveAll(dir))
			w.fails(rate-1, "a file that cannot be opened")
			must(t, os.Mkdir(dir, 0o700))
			put(t, path, content(rate))
			w.holds(rate)
		}
		moved := dir + ".old" // the folder lives on under another name
		must(t, os.Rename(dir, moved))
		must(t, os.Mkdir(dir, 0o700))
		put(t, path, content(5))
		w.holds(5)
		if !c.deaf {
			w.until("events again", func() bool { return w.Status().Polling == nil })
		}
		put(t, path, content(6))
		w.holds(6)
	})
}

// TestWatchDeleteAndWrite: an editor that deletes the file first is not a fault.
func TestWatchDeleteAndWrite(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		c.Settle = 300 * time.Millisecond
		w := newWatched(t, c)
		must(t, os.Remove(w.path))
		time.Sleep(20 * time.Millisecond)
		put(t, w.path, content(2))
		w.holds(2)
		w.count(1)
	})
}

// TestWatchPermission: a file that may not be read any more.
func TestWatchPermission(t *testing.T) {
	both(t, func(t testing.TB, c Config) {
		w := newWatched(t, c)
		must(t, os.Chmod(w.path, 0))
		if file, err := os.Open(w.path); err == nil { // as root may: a folder in its place is not a file either
			_ = file.Close()
			must(t, os.Remove(w.path))
			must(t, os.Mkdir(w.path, 0o700))
			w.fails(1, "must be a file")
			must(t, os.Remove(w.path))
		} else {
			w.fails(1, "a file that cannot be opened")
			must(t, os.Chmod(w.path, 0o600))
		}
		put(t, w.path, content(2))
		w.holds(2)
	})
}

// TestWatchSeesWhatHappenedBefore it was called.
func TestWatchSeesWhatHappenedBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	put(t, path, content(1))
	file, err := Open(path, Config{Poll: time.Hour})
	must(t, err)
	put(t, path, content(2))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- file.Watch(ctx) }()
	w := &watched{File: file, t: t}
	w.until("2/s", func() bool { return w.limit() == "2/s" })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
}

// TestWatchInBusyFolder: what else happens there does not put a change off.
func TestWatchInBusyFolder(t *testing.T) {
	w := newWatched(t, Config{Settle: 50 * time.Millisecond, Poll: time.Hour})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			_ = os.WriteFile(filepath.Join(filepath.Dir(w.path), fmt.Sprint("log", i%10)), []byte("line\n"), 0o600)
			time.Sleep(time.Millisecond)
		}
	})
	defer wg.Wait()
	defer cancel()
	for rate := 2; rate < 5; rate++ {
		put(t, w.path, content(rate))
		w.holds(rate)
	}
}

// TestWatchHookPanics: that does not end the watch, and is counted.
func TestWatchHookPanics(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	put(t, path, content(1))
	file, err := Open(path, Config{Settle: 20 * time.Millisecond, OnReload: func(Event) { panic("canary") }})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- file.Watch(ctx) }()
	w := &watched{File: file, t: t}
	for rate := 2; rate < 4; rate++ {
		put(t, path, content(rate))
		w.until("a panic", func() bool { return file.Status().Panics == rate-1 && w.limit() == fmt.Sprintf("%d/s", rate) })
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
}

// TestWatchTwice: two watches of one file report a change once.
func TestWatchTwice(t *testing.T) {
	testkit.WatchStalls(t).Replay(t, 25*time.Millisecond, watchTwice)
}

func watchTwice(t testing.TB) {
	w := newWatched(t, Config{Settle: 50 * time.Millisecond, Poll: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- w.Watch(ctx) }()
	put(t, w.path, content(2))
	w.holds(2)
	w.count(1)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch ended with %v", err)
	}
}

// TestReload on demand reports each call, whether the file has changed or not.
func TestReload(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	put(t, path, sampleYAML)
	var all []Event
	file, err := Open(path, Config{OnReload: func(e Event) { all = append(all, e) }})
	must(t, err)
	first := file.Status()
	if first.Keys != 18 || first.Plans != 3 || first.Organisations != 3 || len(first.Hash) != 12 || first.Since.IsZero() || first.Err != nil || first.Watching {
		t.Errorf("%+v", first)
	}
	must(t, file.Reload())
	if file.Status().Version != first.Version {
		t.Errorf("%+v, and before %+v", file.Status(), first)
	}
	put(t, path, "default: x\n")
	if err := file.Reload(); err == nil {
		t.Error("it was taken")
	}
	var fault *Error
	failed := file.Status()
	if failed.Version != first.Version || !errors.As(failed.Err, &fault) || fault.Line != 1 || failed.ErrSince.IsZero() {
		t.Errorf("%+v", failed)
	}
	_ = file.Reload()
	if again := file.Status(); !again.ErrSince.Equal(failed.ErrSince) {
		t.Errorf("the same fault began at %v, and before at %v", again.ErrSince, failed.ErrSince)
	}
	put(t, path, content(2))
	must(t, file.Reload())
	if s := file.Status(); s.Err != nil || s.Hash == first.Hash || s.Keys != 0 || !s.ErrSince.IsZero() {
		t.Errorf("%+v", s)
	}
	if len(all) != 4 || all[0].Err != nil || all[1].Err == nil || all[1].InForce != first.Version || all[3].InForce != file.Status().Version || all[3].Took <= 0 {
		t.Errorf("%+v", all)
	}
}

// TestOpenRejects what it cannot read, and a Config that makes no sense.
func TestOpenRejects(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.yaml")
	put(t, bad, "default: 5\n")
	large := filepath.Join(dir, "large.yaml")
	put(t, large, "")
	must(t, os.Truncate(large, MaxSize+1)) // takes no room on the disk
	for _, test := range []struct {
		path   string
		config Config
		want   string
		is     error
	}{
		{filepath.Join(dir, "none.yaml"), Config{}, "a file that cannot be opened", fs.ErrNotExist},
		{dir, Config{}, "found no file; must be a file, not a folder", nil},
		{bad, Config{}, "bad.yaml:1:10: default: found 5", nil},
		{large, Config{}, "found 268435457 bytes; must not be larger than 256 MiB", nil},
		{bad, Config{Settle: -1}, "Config.Settle -1ns must not be negative; 0 means 100ms", nil},
		{bad, Config{Poll: -1}, "Config.Poll -1ns must not be negative; 0 means 2s", nil},
	} {
		file, err := Open(test.path, test.config)
		if file != nil || err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: %v, %v; want %q", test.path, file, err, test.want)
		}
	}
}

// TestTableIsOne: the table of a limiter is the one that is replaced.
func TestTableIsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.json")
	put(t, path, sampleJSON)
	file, err := Open(path, Config{})
	must(t, err)
	var limits ratelimit.Limits = file.Table()
	put(t, path, `{"default": "9/s"}`)
	must(t, file.Reload())
	if p, err := limits.PolicyFor(t.Context(), "customer-17"); err != nil || p.String() != "9/s" {
		t.Errorf("%v, %v", p, err)
	}
}
