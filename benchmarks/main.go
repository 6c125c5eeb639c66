package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/keyrate/keyrate/benchmarks/internal/against"
	"github.com/keyrate/keyrate/benchmarks/internal/child"
	"github.com/keyrate/keyrate/benchmarks/internal/http"
	"github.com/keyrate/keyrate/benchmarks/internal/memory"
	"github.com/keyrate/keyrate/benchmarks/internal/middleware"
	"github.com/keyrate/keyrate/benchmarks/internal/outage"
	"github.com/keyrate/keyrate/benchmarks/internal/redis"
	"github.com/keyrate/keyrate/benchmarks/internal/report"
	"github.com/keyrate/keyrate/benchmarks/internal/scale"
)

// suites is every suite, in the order in which they run.
var suites = []report.Suite{memory.Suite, middleware.Suite, http.Suite, redis.Suite, outage.Suite, scale.Suite}

func main() {
	workers := child.Kinds{}
	for _, s := range suites {
		maps.Copy(workers, s.Workers)
	}
	if code, ok := child.Serve(workers); ok {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case report.TimelineName:
			return report.DrawTimeline(args[1:], os.Stderr)
		case against.Name:
			return against.Command(ctx, args[1:], os.Stdout, os.Stderr)
		case "doors":
			return doors(ctx, args[1:])
		}
	}
	return report.Command(ctx, suites, args, os.Stdout, os.Stderr)
}

// doors runs the suite of frameworks, which is a module of its own, in the folder doors.
func doors(ctx context.Context, args []string) error {
	command := exec.CommandContext(ctx, "go", append([]string{"run", "."}, args...)...)
	command.Dir, command.Stdout, command.Stderr = "doors", os.Stdout, os.Stderr
	return command.Run()
}
