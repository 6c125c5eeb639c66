//go:build !unix

package redisstore

import (
	"errors"
	"testing"
)

func (s *server) pause(t testing.TB)  { need(t, "signals of Unix", errors.ErrUnsupported) }
func (s *server) resume(t testing.TB) {}
