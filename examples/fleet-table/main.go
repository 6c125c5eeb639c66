// Command fleet-table answers the question: how do several processes share one table of limits
// that operators change while it is in use?
//
//	KEYRATE_OPERATOR_SECRET=$(openssl rand -hex 16) go run ./examples/fleet-table -redis redis://localhost:6379   # serve on :8080
//	go run ./examples/fleet-table -demo                                                                          # three processes, 100 changes, a Redis that is lost
//
// api.go is what you would write in a program of your own. The rest is the demo: node.go starts
// this program three times, operator.go changes the table through the handler of package admin,
// load.go calls all processes and looks for a call that fails, demo.go says what happens when,
// inside.go follows the table with 50 nodes in one process, and verdict.go prints what held. The
// demo needs a redis-server and takes less than a minute.
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
)

func main() {
	redis.SetLogger(silent{}) // go-redis logs by itself when Redis goes down
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "fleet-table", stderr, err, func(ctx context.Context) error {
		if o.demo {
			p := standard
			p.slower = o.slower
			p.bonus *= time.Duration(min(o.slower, 3))
			return demo(ctx, p, stdout)
		}
		return serveAPI(ctx, o, stdin, stdout, slog.New(slog.NewTextHandler(stderr, nil)))
	})
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

type options struct {
	redis  string
	secret string // of the operators
	addr   string
	file   string // for the last good copy of the table
	demo   bool
	slower int  // times the promised time
	child  bool // the demo has started this process, which ends with its standard input
}

const (
	// A URL with a password is better in the environment: every user of the machine sees the
	// flags of a program.
	envRedis  = "KEYRATE_REDIS_URL"
	envSecret = "KEYRATE_OPERATOR_SECRET"
	envChild  = "KEYRATE_FLEET_TABLE_CHILD"
)

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("fleet-table", "-redis redis://localhost:6379", stderr)
	flags.StringVar(&o.redis, "redis", "", "the `URL` of Redis, such as redis://localhost:6379; without it, that of $"+envRedis)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "`address` to listen on")
	flags.StringVar(&o.file, "file", "", "the `file` for the last good copy of the table; without it there is none")
	flags.BoolVar(&o.demo, "demo", false, "start a Redis and three processes, change their table, lose Redis, and print what held; less than a minute")
	flags.IntVar(&o.slower, "slower", 1, "with -demo, judge times as if each promise was `N` times as long, for a machine that is busy with other things")
	err = flags.Parse(args, func() error {
		switch {
		case o.demo && flags.Given("redis", "addr", "file"):
			return errors.New("flags -redis, -addr and -file do not go with -demo, which starts all of them itself: leave them out")
		case flags.Given("slower") && (!o.demo || o.slower < 1 || o.slower > 100):
			return errors.New("flag -slower goes with -demo, and is from 1 to 100")
		case o.demo:
			return nil
		}
		o.secret, o.child = os.Getenv(envSecret), os.Getenv(envChild) != ""
		o.redis = cmp.Or(o.redis, os.Getenv(envRedis))
		switch {
		case o.redis == "":
			return fmt.Errorf("there is no Redis: name one with -redis redis://localhost:6379 or $%s, or use -demo", envRedis)
		case o.secret == "":
			return fmt.Errorf("operators need a secret: set $%s, such as with openssl rand -hex 16", envSecret)
		}
		return serve.CheckAddr(o.addr)
	})
	return o, err
}
