package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// suites is every suite, in the order in which they run.
var suites = []suite{memorySuite, middlewareSuite, httpSuite, redisSuite, outageSuite}

func main() {
	if os.Getenv(childVariable) != "" {
		os.Exit(serveChild(os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}
