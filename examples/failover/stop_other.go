//go:build !unix

package main

import "os"

// canStop says that a process can be made to stand still.
const canStop = false

var stopSignal, continueSignal = os.Kill, os.Kill // not used
