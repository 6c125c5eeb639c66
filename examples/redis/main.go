// Command redis runs two HTTP servers that share one limit through Redis, and calls
// both with one key: together they admit no more than one server alone.
//
//	go run ./examples/redis                               # with a Redis that it brings along
//	go run ./examples/redis -redis redis://localhost:6379 # with yours
//
// server.go is what you would write in a program of your own, compare.go makes the
// calls.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/keyrate/keyrate/examples/internal/serve"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// atMost is how long all of it may take.
const atMost = 5 * time.Second

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := serve.NewFlags("redis", "-redis redis://localhost:6379", stderr)
	url := flags.String("redis", "", "the `URL` of a Redis, such as redis://localhost:6379; without it, one runs in this program")
	return serve.Run(ctx, "redis", stderr, flags.Parse(args, nil), func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, atMost)
		defer cancel()
		return demonstrate(ctx, *url, stdout)
	})
}

// demonstrate starts what is needed, compares, and stops it.
func demonstrate(ctx context.Context, url string, out io.Writer) error {
	where := "the Redis that -redis names" // the URL itself may hold a password
	if url == "" {
		embedded, err := miniredis.Run()
		if err != nil {
			return err
		}
		defer embedded.Close()
		url, where = "redis://"+embedded.Addr(), "a Redis inside of this program"
	}
	a, err := startServer(ctx, url)
	if err != nil {
		return err
	}
	defer a.stop()
	b, err := startServer(ctx, url)
	if err != nil {
		return err
	}
	defer b.stop()
	fmt.Fprintf(out, "Two servers, one limit of %s for each X-API-Key, shared through %s.\n\n", limit, where)
	return compare(ctx, a, b, out)
}
