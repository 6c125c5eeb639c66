// Package testkit has what the tests of several packages share. It is for tests only.
package testkit

import (
	"os"
	"testing"
)

// Long skips a test that go test ./... leaves out: because it depends on the wall
// clock, needs a program that is not Go, or takes seconds of CPU. With KEYRATE_LONG=1,
// as CI sets it, the test runs. why completes the sentence "skipped, because it ...".
func Long(tb testing.TB, why string) {
	tb.Helper()
	if os.Getenv("KEYRATE_LONG") != "1" {
		tb.Skipf("skipped, because it %s; KEYRATE_LONG=1 runs it", why)
	}
}
