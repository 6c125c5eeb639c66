//go:build unix

package main

import "syscall"

// canStop says that a process can be made to stand still.
const canStop = true

const (
	stopSignal     = syscall.SIGSTOP
	continueSignal = syscall.SIGCONT
)
