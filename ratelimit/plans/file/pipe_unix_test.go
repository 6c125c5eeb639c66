//go:build unix

package file

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestNamedPipe: a named pipe is rejected unopened. To open one waits for a writer, however
// long that takes.
func TestNamedPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe.yaml")
	must(t, syscall.Mkfifo(pipe, 0o600))
	opened := make(chan error)
	go func() {
		_, err := Open(pipe, Config{})
		opened <- err
	}()
	select {
	case err := <-opened:
		if err == nil || !strings.Contains(err.Error(), "must be a file, not a folder or a device") {
			t.Errorf("%v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Open waits for a writer")
	}
	both(t, func(t testing.TB, c Config) {
		w := newWatched(t, c)
		next := w.path + ".next"
		must(t, syscall.Mkfifo(next, 0o600))
		must(t, syscall.Rename(next, w.path))
		w.fails(1, "must be a file, not a folder or a device")
		must(t, syscall.Unlink(w.path))
		put(t, w.path, content(2))
		w.holds(2)
	})
}
