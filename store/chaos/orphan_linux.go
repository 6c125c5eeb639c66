package chaos

import "syscall"

// noOrphan ends a server with the test program, however that ends.
func noOrphan() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
