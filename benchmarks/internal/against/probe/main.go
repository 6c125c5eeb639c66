// Command probe measures the keyrate that it is compiled with. Package against compiles it
// twice, with two versions, and compares what it finds. It therefore uses only what every
// version has; [newLimiter] and [newHandler] are all that touches keyrate's API.
package main

import (
	"fmt"
	"os"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
)

// kinds are the suites that can be compared.
var kinds = child.Kinds{
	"memory":     func() child.Worker { return &memoryWorker{} },
	"middleware": func() child.Worker { return &middlewareWorker{} },
	"http":       func() child.Worker { return &httpWorker{} },
}

func main() {
	code, ok := child.Serve(kinds)
	if !ok {
		fmt.Fprintln(os.Stderr, "probe: the command benchmarks against starts this program")
		code = 2
	}
	os.Exit(code)
}
