package redisstore

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends the program with the test, even if that is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
