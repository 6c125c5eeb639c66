//go:build unix

package redisstore

import (
	"syscall"
	"testing"
)

// pause stops the server: it keeps its connections and answers none.
func (s *server) pause(t testing.TB) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
}

// resume lets the server continue.
func (s *server) resume(t testing.TB) {
	t.Helper()
	if err := s.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}
