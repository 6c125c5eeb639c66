package file

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/keyrate/keyrate/ratelimit/plans"
)

// TestReplace: the limits of a file, and of a changed one, go to Config.Replace, again and again until
// that accepts them, and not into the table of the file.
func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "limits.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("default: 5/s\n")
	var mu sync.Mutex
	var got []string
	fails := 2
	f, err := Open(path, Config{Settle: 5 * time.Millisecond, Poll: 20 * time.Millisecond, Replace: func(c plans.TableConfig) error {
		mu.Lock()
		defer mu.Unlock()
		if got = append(got, c.Default.String()); len(got) == 1 {
			panic("canary")
		}
		if fails--; fails >= 0 {
			return errors.New("the fleet cannot be reached")
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = f.Watch(t.Context()) }()
	accepted := func(calls int) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			mu.Lock()
			n := len(got)
			mu.Unlock()
			if s := f.Status(); n >= calls && s.Err == nil {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d attempts, %+v", n, f.Status())
			}
		}
	}
	accepted(4)
	write("default: 6/s\n")
	accepted(5)
	time.Sleep(100 * time.Millisecond)
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"5/s", "5/s", "5/s", "5/s", "6/s"}; !slices.Equal(got, want) || f.Table().Default().String() != "5/s" {
		t.Errorf("%q, table %v", got, f.Table().Default())
	}
}
