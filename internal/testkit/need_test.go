package testkit

import (
	"errors"
	"fmt"
	"testing"
)

// ended records how a test would end.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Fatalf(format string, args ...any) { e.how = "failed: " + fmt.Sprintf(format, args...) }
func (e *ended) Skipf(format string, args ...any)  { e.how = "skipped: " + fmt.Sprintf(format, args...) }

// TestNeed: what is missing skips a test, and fails it where it was promised.
func TestNeed(t *testing.T) {
	const require = "KEYRATE_REQUIRE_OF_THIS_TEST"
	missing := errors.New("not found")
	for _, c := range []struct {
		promised string
		err      error
		want     string
	}{
		{"", nil, ""},
		{"1", nil, ""},
		{"", missing, "skipped: this test needs a program: not found"},
		{"1", missing, "failed: " + require + "=1, but this test needs a program: not found"},
	} {
		t.Setenv(require, c.promised)
		tb := &ended{TB: t}
		Need(tb, require, "a program", c.err)
		if tb.how != c.want {
			t.Errorf("%s=%s, %v: %q; want %q", require, c.promised, c.err, tb.how, c.want)
		}
	}
}
