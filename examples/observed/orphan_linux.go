package main

import "syscall"

// noOrphan ends a redis-server with this program, however that ends.
func noOrphan() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
