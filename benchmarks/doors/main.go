// Command doors measures what the limits of each framework cost: ours, and those that the framework's
// users have. Run it as one of the suites of package benchmarks:
//
//	go -C benchmarks run . doors [-quick] [-case EXPR] [-json FILE]
//
// It is a module of its own, so that the other suites do not build five frameworks.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
)

func main() {
	if code, ok := child.Serve(suite.Workers); ok {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := report.Command(ctx, []report.Suite{suite}, append([]string{suite.Name}, os.Args[1:]...), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}
