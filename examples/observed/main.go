// Command observed serves an HTTP API whose limits can be watched: with metrics for Prometheus and
// for OpenTelemetry, and with the console of the operators. Run it in this folder:
//
//	go run . -redis redis://localhost:6379   # serve on localhost:8080
//	go run . -redis ""                       # the same with limits in memory
//	go run . -demo                           # a minute of load, an attack and an outage, as the dashboard shows them
//
// With KEYRATE_SECRET=$(openssl rand -hex 32), the same on all nodes, the names in Redis do not show
// which API keys are in use. KEYRATE_OPERATOR_SECRET is what operators authorize themselves with.
//
// api.go is what you would write in a program of your own, this file serves it. The rest is the
// demo: demo.go says what happens and when, load.go calls the API, recording.go stores what a
// Prometheus would, and evaluates dashboard and alerts with its engine, verdict.go says what held.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/exporters/stdout/stdoutmetric"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/keyrate/keyrate/examples/internal/serve"
)

func main() {
	redis.SetLogger(silent{}) // which logs by itself when Redis is down
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "observed", stderr, err, func(ctx context.Context) error {
		if o.demo {
			return demo(ctx, plan{rules: o.rules, every: time.Second}, stdout)
		}
		return serveAPI(ctx, o, stdout, slog.New(slog.NewTextHandler(stderr, nil)))
	})
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

type options struct {
	redis string
	addr  string
	otel  time.Duration
	demo  bool
	rules string
}

// A URL with a password, and a secret, are better in the environment: every user of the machine sees
// the flags of a program.
const (
	envRedis    = "KEYRATE_REDIS_URL"
	envSecret   = "KEYRATE_SECRET"
	envOperator = "KEYRATE_OPERATOR_SECRET"
)

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("observed", "-redis redis://localhost:6379", stderr)
	flags.StringVar(&o.redis, "redis", "", "the `URL` of Redis, such as redis://localhost:6379, or \"\" for limits in memory; without it, that of $"+envRedis)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "`address` to listen on, such as :8081")
	flags.DurationVar(&o.otel, "otel", 0, "write what OpenTelemetry collects to stdout, so `often`, such as 10s; 0 is never")
	flags.BoolVar(&o.demo, "demo", false, "start a Redis, call the API, flood it, kill that Redis, and print what dashboard and alerts show; a minute")
	flags.StringVar(&o.rules, "rules", "../../ratelimit/metrics/prometheus", "with -demo: the `folder` with grafana.json and alerts.yaml")
	err = flags.Parse(args, func() error {
		switch {
		case o.demo && flags.Given("redis", "addr", "otel"):
			return errors.New("flags -redis, -addr and -otel do not go with -demo, which starts and kills a Redis of its own: leave them out")
		case o.demo:
			return nil
		case flags.Given("rules"):
			return errors.New("flag -rules is for -demo: add that")
		case o.otel < 0:
			return fmt.Errorf("invalid value %v for flag -otel: must not be negative", o.otel)
		}
		if !flags.Given("redis") {
			if o.redis = os.Getenv(envRedis); o.redis == "" {
				return fmt.Errorf("there is no Redis: name one with -redis redis://localhost:6379 or $%s, or use -redis \"\" or -demo", envRedis)
			}
		}
		return serve.CheckAddr(o.addr)
	})
	return o, err
}

// serveAPI serves until ctx ends.
func serveAPI(ctx context.Context, o options, stdout io.Writer, logger *slog.Logger) (err error) {
	s := setup{redis: o.redis, secret: []byte(os.Getenv(envSecret)), operator: cmp.Or(os.Getenv(envOperator), strings.ToLower(rand.Text())), logger: logger}
	if o.redis != "" && len(s.secret) == 0 {
		logger.Warn("without a secret, a reader of Redis can guess which API keys are in use", "set", envSecret)
	}
	if o.otel > 0 {
		// In production: otlpmetrichttp.New(ctx), for example.
		exporter, err := stdoutmetric.New(stdoutmetric.WithWriter(stdout))
		if err != nil {
			return err
		}
		s.reader = sdkmetric.NewPeriodicReader(exporter, sdkmetric.WithInterval(o.otel))
	}
	a, err := newAPI(s)
	if err != nil {
		return fmt.Errorf("flag -redis: %w", err)
	}
	defer func() { err = errors.Join(err, a.close()) }()
	operators := "Operators open URLlimits/ in a browser: the password is the secret in $" + envOperator + "."
	if os.Getenv(envOperator) == "" {
		operators = "Operators open URLlimits/ in a browser: the password, new in each run without $" + envOperator + ", is " + s.operator
	}
	return serve.API(ctx, o.addr, a, stdout, "Serving URL, with the metrics at URLmetrics. Ctrl-C ends it.\n"+operators)
}
