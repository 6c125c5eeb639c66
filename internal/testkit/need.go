package testkit

import (
	"os"
	"testing"
)

// Need skips a test if err says that the machine lacks something. If the environment
// variable require is 1, as CI sets it, Need fails the test instead. what completes the
// sentence "this test needs ...".
func Need(tb testing.TB, require, what string, err error) {
	tb.Helper()
	switch {
	case err == nil:
	case os.Getenv(require) == "1":
		tb.Fatalf("%s=1, but this test needs %s: %v", require, what, err)
	default:
		tb.Skipf("this test needs %s: %v", what, err)
	}
}
