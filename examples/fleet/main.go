// Command fleet answers the question: how do many processes share one hot limit at memory speed?
// Each takes tokens from Redis in advance and decides by itself, and together they admit not one
// call more than the limit:
//
//	go run ./examples/fleet -redis redis://localhost:6379 -nodes 4   # serve on :8080
//	go run ./examples/fleet -demo                                    # four processes, some 50,000 calls a second, without and with leases
//
// api.go is what you would write in a program of your own. The rest is the demo: node.go starts
// this program four times, proxy.go is a load balancer in front of them. A machine with two cores
// cannot also make 50,000 HTTP calls a second, so callers.go calls the limiter of each process
// directly, as often as the load balancer would, and visitors.go makes some real HTTP calls.
// ledger.go keeps what the callers were answered, even of a process that is killed; fleet.go puts
// that together; meter.go asks Redis what it cost; faults.go kills a process and Redis; verdict.go
// prints what held. The demo needs a redis-server and takes less than 30 seconds.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/store"
)

func main() {
	redis.SetLogger(silent{}) // go-redis logs by itself when Redis goes down
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "fleet", stderr, err, func(ctx context.Context) error {
		if o.demo {
			return demo(ctx, standard, stdout)
		}
		return serveAPI(ctx, o, stdin, stdout, slog.New(slog.NewTextHandler(stderr, nil)))
	})
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

type options struct {
	redis   string
	timeout time.Duration
	secret  string // keys the hashes of API keys in Redis; the same on all nodes
	addr    string
	nodes   int
	leases  bool
	demo    bool
	ledger  string // of a process that the demo has started
}

const (
	// A URL with a password is better in the environment: every user of the machine sees the
	// flags of a program.
	envRedis  = "KEYRATE_REDIS_URL"
	envSecret = "KEYRATE_SECRET"
	// envLedger is set for the processes of the demo, which end with their standard input.
	envLedger = "KEYRATE_FLEET_LEDGER"
)

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("fleet", "-redis redis://localhost:6379", stderr)
	flags.StringVar(&o.redis, "redis", "", "the `URL` of Redis, such as redis://localhost:6379; without it, that of $"+envRedis)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "`address` to listen on")
	flags.IntVar(&o.nodes, "nodes", 1, "how `many` nodes share this Redis; while it is down each admits that part of the limit")
	flags.DurationVar(&o.timeout, "timeout", store.DefaultTimeout, "how `long` a decision may take; for more than that, add ?timeout= to the URL of Redis as well")
	flags.BoolVar(&o.leases, "leases", true, "take tokens of busy keys in advance")
	flags.BoolVar(&o.demo, "demo", false, "start a Redis and four nodes, call them without and with leases, kill one and Redis, and print what it cost and what was admitted; less than 30 seconds")
	err = flags.Parse(args, func() error {
		switch {
		case o.demo && flags.Given("redis", "addr", "nodes", "timeout", "leases"):
			return errors.New("flags -redis, -addr, -nodes, -timeout and -leases do not go with -demo, which starts all of them itself: leave them out")
		case o.demo:
			return nil
		case o.nodes < 1:
			return fmt.Errorf("invalid value %d for flag -nodes: must be at least 1", o.nodes)
		case o.timeout <= 0:
			return fmt.Errorf("invalid value %v for flag -timeout: must be more than 0", o.timeout)
		}
		o.ledger, o.secret = os.Getenv(envLedger), os.Getenv(envSecret)
		o.redis = cmp.Or(o.redis, os.Getenv(envRedis))
		if o.redis == "" {
			return fmt.Errorf("there is no Redis: name one with -redis redis://localhost:6379 or $%s, or use -demo", envRedis)
		}
		return serve.CheckAddr(o.addr)
	})
	return o, err
}
