// Command llm is a gateway in front of a model API (LLM). It limits how many tokens per minute
// and how many requests at a time an organisation may use, by what each request really cost:
//
//	go run ./examples/llm -redis redis://localhost:6379 -upstream http://localhost:9000   # serve on :8080
//	go run ./examples/llm -demo   # 50 streams through two gateways; one is killed
//
// gateway.go, proxy.go, estimate.go, caller.go and organisations.go are what you would write in a
// program of your own. The rest is the demo: model.go is a model API without a model, load.go calls
// it through the gateways, ledger.go compares what was used with the limits. The demo does the same
// once more with gateways that count tokens after the fact, as many do. It starts a redis-server or,
// where there is none, a stand-in, and takes about 50 seconds.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/keyrate/keyrate/examples/internal/serve"
)

func main() {
	redis.SetLogger(silent{}) // which logs by itself when Redis is down
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "llm", stderr, err, func(ctx context.Context) error {
		logger := slog.New(slog.NewTextHandler(stderr, nil))
		if o.demo {
			return demo(ctx, standard, stdout)
		}
		if os.Getenv(envChild) != "" {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			defer cancel()
			go func() {
				_, _ = io.Copy(io.Discard, stdin) // until the parent ends
				cancel()
			}()
		}
		return serveGateway(ctx, o, stdout, logger)
	})
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

type options struct {
	redis    string
	upstream string
	addr     string
	after    bool
	demo     bool
}

const (
	// A URL with a password is better in the environment: every user of the machine sees the
	// flags of a program.
	envRedis = "KEYRATE_REDIS_URL"
	// envChild is set for the gateways of the demo, which end with their standard input.
	envChild = "KEYRATE_LLM_CHILD"
)

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("llm", "-redis redis://localhost:6379", stderr)
	flags.StringVar(&o.redis, "redis", "", "the `URL` of Redis, such as redis://localhost:6379; without it, that of $"+envRedis)
	flags.StringVar(&o.upstream, "upstream", "", "the `URL` of the model API, such as http://localhost:9000")
	flags.StringVar(&o.addr, "addr", "localhost:8080", "`address` to listen on")
	flags.BoolVar(&o.after, "after", false, "count tokens after the fact, as the demo does for comparison: limits are overrun")
	flags.BoolVar(&o.demo, "demo", false, "start a Redis, a model API and two gateways, call them, kill one, and print what was used; about 50 seconds")
	err = flags.Parse(args, func() error {
		switch {
		case o.demo && flags.Given("redis", "upstream", "addr", "after"):
			return errors.New("flags -redis, -upstream, -addr and -after do not go with -demo, which starts all of them itself: leave them out")
		case o.demo:
			return nil
		}
		o.redis = cmp.Or(o.redis, os.Getenv(envRedis))
		if o.redis == "" {
			return fmt.Errorf("there is no Redis: name one with -redis redis://localhost:6379 or $%s, or use -demo", envRedis)
		}
		if u, err := url.Parse(o.upstream); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("flag -upstream must be the URL of a model API, such as -upstream http://localhost:9000; or use -demo")
		}
		return serve.CheckAddr(o.addr)
	})
	return o, err
}

// serveGateway serves until ctx ends.
func serveGateway(ctx context.Context, o options, stdout io.Writer, logger *slog.Logger) (err error) {
	g, err := newGateway(o, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.close()) }()
	return serve.API(ctx, o.addr, g, stdout, "Serving URL for the keys of organisations.go. Ctrl-C ends it.")
}
