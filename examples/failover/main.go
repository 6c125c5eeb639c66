// Command failover serves an HTTP API whose limits are kept in Redis, and which goes on
// limiting while Redis is away:
//
//	go run ./examples/failover -redis redis://localhost:6379   # serve on :8080
//	go run ./examples/failover -demo                           # stop, kill and empty a Redis under load, and watch
//
// With KEYRATE_SECRET=$(openssl rand -hex 32), the same on all nodes, what is in Redis
// does not tell which API keys are in use.
//
// api.go is what you would write in a program of your own, serve.go serves it. The
// rest is the demo: demo.go says what happens to Redis and when, load.go calls the
// API, timeline.go shows what the callers saw, verdict.go what held.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/redis/go-redis/v9"
)

func main() {
	// go-redis logs by itself, some twenty lines when Redis goes away. One line of
	// ours says it all, without the address.
	redis.SetLogger(silent{})
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0, 1 for what went wrong, 2 for a bad flag.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // parse has said why
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	if o.demo {
		err = demo(ctx, standard, o.timeline, stdout, logger)
	} else {
		err = serveAPI(ctx, o, logger)
	}
	if err != nil {
		fmt.Fprintln(stderr, "failover:", err)
		return 1
	}
	return 0
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

// The environment may say what the flags do. A URL with a password is better there:
// everybody on the machine sees the flags of a program.
const (
	envRedis  = "KEYRATE_REDIS_URL"
	envAddr   = "KEYRATE_ADDR"
	envSecret = "KEYRATE_SECRET"
)

// parse reads the flags. What is wrong with them, it tells stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("failover", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.redis, "redis", "", "the `URL` of Redis, such as redis://localhost:6379; without it, that of $"+envRedis)
	flags.StringVar(&o.addr, "addr", "", "`address` to listen on, such as :8081; without it, that of $"+envAddr+", or :8080")
	flags.IntVar(&o.nodes, "nodes", 1, "how `many` processes share this Redis; while it is away each grants that part of the limit")
	flags.BoolVar(&o.demo, "demo", false, "start a Redis, call the API, stop and kill that Redis, and print what the callers saw; half a minute")
	flags.StringVar(&o.timeline, "timeline", "", "with -demo: write the lines of the table as CSV to this `file`")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	fail := func(format string, args ...any) (options, error) {
		err := fmt.Errorf(format, args...)
		fmt.Fprintln(stderr, err)
		flags.Usage()
		return o, err
	}
	given := map[string]bool{}
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	switch {
	case flags.NArg() > 0:
		return fail("unexpected argument %q; all is said with flags, such as -redis redis://localhost:6379", flags.Arg(0))
	case o.demo && (given["redis"] || given["addr"] || given["nodes"]):
		return fail("flags -redis, -addr and -nodes do not go with -demo, which starts and kills a Redis of its own: leave them out")
	case !o.demo && o.timeline != "":
		return fail("flag -timeline is for -demo: add that")
	case o.nodes < 1:
		return fail("invalid value %d for flag -nodes: must be at least 1", o.nodes)
	case o.demo:
		return o, nil
	}
	if o.redis == "" {
		o.redis = os.Getenv(envRedis)
	}
	if o.redis == "" {
		return fail("there is no Redis: name one with -redis redis://localhost:6379 or $%s, or add -demo", envRedis)
	}
	if o.addr == "" {
		o.addr = os.Getenv(envAddr)
	}
	if o.addr == "" {
		o.addr = ":8080"
	}
	if _, _, err := net.SplitHostPort(o.addr); err != nil {
		return fail("invalid value %q for flag -addr: must be HOST:PORT or :PORT, such as -addr :8081", o.addr)
	}
	return o, nil
}
