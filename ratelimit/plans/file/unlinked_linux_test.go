package file

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyrate/keyrate/internal/testkit"
)

const unlinkedText = "must be mounted with its folder, not alone"

// namedByDescriptor returns a path that leads to a file whatever becomes of its name, as a
// mount of the file alone does, and the name.
func namedByDescriptor(t testing.TB) (path, name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "limits.yaml")
	put(t, name, content(1))
	file, err := os.Open(name)
	must(t, err)
	t.Cleanup(func() { _ = file.Close() })
	return fmt.Sprintf("/proc/self/fd/%d", file.Fd()), name
}

// TestReplacedUnderItsMount: a file that is mounted alone stays the old one when another
// takes its name. Reload, Status and an event say so, once.
func TestReplacedUnderItsMount(t *testing.T) {
	for how, replace := range map[string]func(name string) error{
		"renamed": func(name string) error {
			return errors.Join(os.WriteFile(name+".tmp", []byte(content(2)), 0o600), os.Rename(name+".tmp", name))
		},
		"deleted": os.Remove,
		"deleted and written": func(name string) error {
			return errors.Join(os.Remove(name), os.WriteFile(name, []byte(content(2)), 0o600))
		},
		"folder deleted": func(name string) error { return os.RemoveAll(filepath.Dir(name)) },
	} {
		t.Run(how, func(t *testing.T) {
			both(t, func(t testing.TB, c Config) {
				c.Poll = 20 * time.Millisecond
				path, name := namedByDescriptor(t)
				w := watchFile(t, path, c)
				w.count(0)
				must(t, replace(name))
				w.fails(1, unlinkedText)
				w.count(1)
				first := w.Status()
				if err := w.Reload(); err == nil || !errors.Is(err, errUnlinked) || !strings.Contains(err.Error(), unlinkedText) {
					t.Errorf("Reload: %v", err)
				}
				if s := w.Status(); s.Version != first.Version || !s.ErrSince.Equal(first.ErrSince) || s.Err == nil {
					t.Errorf("%+v, and before %+v", s, first)
				}
			})
		})
	}
}

// TestReplacedUnderItsMountBefore it is opened, as when only the program is started again:
// it serves, and the status says so at once.
func TestReplacedUnderItsMountBefore(t *testing.T) {
	path, name := namedByDescriptor(t)
	must(t, os.Remove(name))
	file, err := Open(path, Config{})
	must(t, err)
	if s := file.Status(); !errors.Is(s.Err, errUnlinked) || s.ErrSince.IsZero() || s.Hash == "" {
		t.Errorf("%+v", s)
	}
	if p, err := file.Table().PolicyFor(t.Context(), "anyone"); err != nil || p.String() != "1/s" {
		t.Errorf("%v, %v", p, err)
	}
}

// TestUnlinkedIsStillRead: a file system that counts no links must not freeze the limits.
func TestUnlinkedIsStillRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "limits.yaml")
	put(t, name, content(1))
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	must(t, err)
	defer file.Close()
	must(t, os.Remove(name))
	w := watchFile(t, fmt.Sprintf("/proc/self/fd/%d", file.Fd()), Config{Settle: 20 * time.Millisecond, Poll: 20 * time.Millisecond})
	_, err = file.WriteAt([]byte(content(2)), 0)
	must(t, err)
	w.fails(2, unlinkedText)
	if s := w.Status(); s.Version != w.events()[0].InForce {
		t.Errorf("%+v, and the event %+v", s, w.events())
	}
}

// TestHardLinked: a file with two names that loses one is no fault.
func TestHardLinked(t *testing.T) {
	w := newWatched(t, Config{Settle: 20 * time.Millisecond, Poll: 20 * time.Millisecond})
	must(t, os.Link(w.path, w.path+".other"))
	must(t, os.Remove(w.path+".other"))
	w.count(0)
	if err := w.Reload(); err != nil || w.Status().Err != nil {
		t.Errorf("%v, %+v", err, w.Status())
	}
}

// TestBindMount replaces a file under a real mount of it alone.
func TestBindMount(t *testing.T) {
	const child = "KEYRATE_TEST_BIND_MOUNT"
	if dir := os.Getenv(child); dir != "" {
		source, mounted := filepath.Join(dir, "source.yaml"), filepath.Join(dir, "mounted.yaml")
		must(t, syscall.Mount(source, mounted, "", syscall.MS_BIND, ""))
		w := watchFile(t, mounted, Config{Settle: 20 * time.Millisecond, Poll: 20 * time.Millisecond})
		put(t, source, content(2)) // in place
		w.holds(2)
		put(t, source+".tmp", content(3))
		must(t, os.Rename(source+".tmp", source))
		w.fails(2, unlinkedText)
		return
	}
	testkit.Long(t, "needs a mount namespace")
	dir := t.TempDir()
	put(t, filepath.Join(dir, "source.yaml"), content(1))
	put(t, filepath.Join(dir, "mounted.yaml"), "")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBindMount$", "-test.v") //nolint:gosec // itself
	cmd.Env = append(os.Environ(), child+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
		t.Skipf("no user namespaces here: %v", err)
	}
	if err != nil || !strings.Contains(string(out), "--- PASS: TestBindMount") {
		t.Errorf("%v\n%s", err, out)
	}
}
