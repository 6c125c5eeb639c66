// Command envoy is the rate limit service of Envoy, over gRPC (RLS v3), on top of limits of keyrate:
// what passes through Envoy, in any language, and what Go programs serve take from the same buckets.
// Run it in this folder:
//
//	go run . -redis redis://localhost:6379   # serve on localhost:8081, with buckets in Redis
//	go run .                                 # the same with buckets in memory
//	go run . -demo                           # call it as Envoy does, beside an HTTP API in Go
//
// table.go has the limits, service.go, rule.go and asked.go are what you would write in a program of
// your own, and envoy.yaml how Envoy asks it. demo.go calls it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	ratelimitv3 "github.com/envoyproxy/go-control-plane/envoy/service/ratelimit/v3"
	"google.golang.org/grpc"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
	"github.com/keyrate/keyrate/store/redisstore"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

type options struct {
	redis string
	addr  string
	demo  bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "envoy", stderr, err, func(ctx context.Context) error {
		if o.demo {
			return demo(ctx, stdout)
		}
		return o.serve(ctx, stdout)
	})
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("envoy", "-redis redis://localhost:6379", stderr)
	flags.StringVar(&o.redis, "redis", "", "the `URL` of Redis, such as redis://localhost:6379; without it, buckets are in memory")
	flags.StringVar(&o.addr, "addr", "localhost:8081", "`address` to listen on, such as :8081")
	flags.BoolVar(&o.demo, "demo", false, "call the service as Envoy does, and print what it answers")
	err = flags.Parse(args, func() error {
		if o.demo && flags.Given("redis", "addr") {
			return errors.New("flags -redis and -addr do not go with -demo: leave them out")
		}
		return serve.CheckAddr(o.addr)
	})
	return o, err
}

// serve serves until ctx ends.
func (o options) serve(ctx context.Context, out io.Writer) (err error) {
	var buckets store.Store = memstore.New(memstore.Config{})
	if o.redis != "" {
		client, err := redisstore.NewClient(o.redis)
		if err != nil {
			return fmt.Errorf("flag -redis: %w", err)
		}
		defer client.Close()
		if buckets, err = redisstore.New(client, redisstore.Config{Secret: []byte(os.Getenv("KEYRATE_SECRET"))}); err != nil {
			return err
		}
	}
	s, err := newService(buckets, table)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Serving the rate limit service of Envoy on %s. Ctrl-C ends it.\n", listener.Addr())
	return serveGRPC(ctx, listener, s)
}

// serveGRPC serves until ctx ends, and lets calls finish.
func serveGRPC(ctx context.Context, listener net.Listener, s *service) error {
	server := grpc.NewServer()
	ratelimitv3.RegisterRateLimitServiceServer(server, s)
	defer context.AfterFunc(ctx, server.GracefulStop)()
	return server.Serve(listener)
}
