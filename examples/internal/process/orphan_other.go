//go:build !linux

package process

import "syscall"

// noOrphan does what it can: only Linux ends a child with its parent.
func noOrphan() *syscall.SysProcAttr { return nil }
