package process

import "syscall"

// noOrphan ends a process with this program, however that ends: a process that was
// stopped would stay for ever.
func noOrphan() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
