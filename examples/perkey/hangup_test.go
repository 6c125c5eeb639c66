//go:build unix

package main

import (
	"os"
	"syscall"
	"testing"
)

// TestHangup: SIGHUP has the file read, changed or not.
func TestHangup(t *testing.T) {
	_, _, out := started(t)
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	out.await(t, "is in force after .*: 3 plans, 8 keys\n")
}
