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
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// atMost is how long all of it may take.
const atMost = 5 * time.Second

// run returns the exit status: 0, 1 for what went wrong, 2 for a bad flag.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("redis", flag.ContinueOnError)
	flags.SetOutput(stderr)
	url := flags.String("redis", "", "the `URL` of a Redis, such as redis://localhost:6379; without it, one runs in this program")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2 // Parse has said why
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "unexpected argument %q; the only flag is -redis URL\n", flags.Arg(0))
		return 2
	}
	ctx, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	if err := demonstrate(ctx, *url, stdout); err != nil {
		fmt.Fprintln(stderr, "redis:", err)
		return 1
	}
	return 0
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
