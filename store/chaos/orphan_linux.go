package chaos

import "syscall"

// noOrphan makes a server end with the test program, even if that is killed.
func noOrphan() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
