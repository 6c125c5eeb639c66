//go:build !linux

package chaos

import "syscall"

// noOrphan does nothing: only Linux can end a child with its parent.
func noOrphan() *syscall.SysProcAttr { return nil }
