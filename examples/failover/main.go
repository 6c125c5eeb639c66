// Command failover serves an HTTP API that keeps its limits in Redis, and goes on limiting
// while Redis is down:
//
//	go run ./examples/failover -redis redis://localhost:6379   # serve on :8080
//	go run ./examples/failover -demo                           # stop, kill and empty a Redis under load, and watch
//
// With KEYRATE_SECRET=$(openssl rand -hex 32), the same on all nodes, the names in Redis do
// not show which API keys are in use.
//
// api.go is what you would write in a program of your own, serve.go serves it. The
// rest is the demo: demo.go says what happens to Redis and when, load.go calls the
// API, timeline.go shows what the callers saw, verdict.go what held.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/internal/serve"
)

func main() {
	// go-redis logs by itself, some twenty lines when Redis goes down. One line of ours
	// says the same, without the address.
	redis.SetLogger(silent{})
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "failover", stderr, err, func(ctx context.Context) error {
		logger := slog.New(slog.NewTextHandler(stderr, nil))
		if o.demo {
			return demo(ctx, standard, o.timeline, stdout, logger)
		}
		return serveAPI(ctx, o, stdout, logger)
	})
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

type options struct {
	redis    string
	addr     string
	nodes    int
	demo     bool
	timeline string
}

// Environment variables can replace flags. A URL with a password is better there: every user
// of the machine sees the flags of a program.
const (
	envRedis  = "KEYRATE_REDIS_URL"
	envAddr   = "KEYRATE_ADDR"
	envSecret = "KEYRATE_SECRET"
)

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("failover", "-redis redis://localhost:6379", stderr)
	flags.StringVar(&o.redis, "redis", "", "the `URL` of Redis, such as redis://localhost:6379; without it, that of $"+envRedis)
	flags.StringVar(&o.addr, "addr", "", "`address` to listen on, such as :8081; without it, that of $"+envAddr+", or :8080")
	flags.IntVar(&o.nodes, "nodes", 1, "how `many` nodes share this Redis; while it is down each admits that part of the limit")
	flags.BoolVar(&o.demo, "demo", false, "start a Redis, call the API, stop and kill that Redis, and print what the callers saw; half a minute")
	flags.StringVar(&o.timeline, "timeline", "", "with -demo: write the lines of the table as CSV to this `file`")
	err = flags.Parse(args, func() error {
		switch {
		case o.demo && flags.Given("redis", "addr", "nodes"):
			return errors.New("flags -redis, -addr and -nodes do not go with -demo, which starts and kills a Redis of its own: leave them out")
		case !o.demo && o.timeline != "":
			return errors.New("flag -timeline is for -demo: add that")
		case o.nodes < 1:
			return fmt.Errorf("invalid value %d for flag -nodes: must be at least 1", o.nodes)
		case o.demo:
			return nil
		}
		o.redis = cmp.Or(o.redis, os.Getenv(envRedis))
		if o.redis == "" {
			return fmt.Errorf("there is no Redis: name one with -redis redis://localhost:6379 or $%s, or add -demo", envRedis)
		}
		o.addr = cmp.Or(o.addr, os.Getenv(envAddr), ":8080")
		return serve.CheckAddr(o.addr)
	})
	return o, err
}
