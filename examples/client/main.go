// Command client lets twenty workers call an API that is limited to 5 requests per
// second, first with an http.Client that tries again after a refusal, as one writes it
// by hand, then with one on middleware/transport, and prints what became of the calls:
//
//	go run ./examples/client                             # some twenty seconds
//	go run ./examples/client -workers 5 -limit 20/s -calls 200
//	go run ./examples/client -url http://localhost:8080/ # an API of yours, such as examples/quickstart
//
// byhand.go is the client that one writes, compare.go has the few lines that make the
// transport do it instead. pool.go makes the workers call, and counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/keyrate/keyrate/ratelimit"
)

func main() {
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
	if err := demonstrate(ctx, o, stdout); err != nil {
		fmt.Fprintln(stderr, "client:", err)
		return 1
	}
	return 0
}

// demonstrate starts an API if none is given, has it called, and stops it.
func demonstrate(ctx context.Context, o options, out io.Writer) error {
	which := "the API that -url names"
	if o.url == "" {
		url, stop, err := serve(ctx, o.limit)
		if err != nil {
			return err
		}
		defer stop()
		o.url, which = url, "an API that is limited to "+o.limit.String()
	}
	fmt.Fprintf(out, "%d workers share one key of %s, and make %d calls.\n\n", o.workers, which, o.calls)
	base := &http.Transport{MaxIdleConnsPerHost: o.workers, ResponseHeaderTimeout: 10 * time.Second}
	defer base.CloseIdleConnections()
	return compare(ctx, base, o, out)
}

type options struct {
	url            string
	limit          ratelimit.Limit
	workers, calls int
}

// parse reads the flags. What is wrong with them, it tells stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.url, "url", "", "the `URL` of an API that takes any X-API-Key; without it, one runs in this program")
	flags.TextVar(&o.limit, "limit", ratelimit.PerSecond(5), "the `limit` of the API in this program, such as 5/s or 100/1m;burst=10")
	flags.IntVar(&o.workers, "workers", 20, "how `many` workers call")
	flags.IntVar(&o.calls, "calls", 60, "how `many` calls they make together, each time")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	limitGiven := false
	flags.Visit(func(f *flag.Flag) { limitGiven = limitGiven || f.Name == "limit" })
	var err error
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q; all is said with flags, such as -workers 5", flags.Arg(0))
	case o.workers < 1:
		err = fmt.Errorf("invalid value %d for flag -workers: must be at least 1, such as -workers 20", o.workers)
	case o.calls < 1:
		err = fmt.Errorf("invalid value %d for flag -calls: must be at least 1, such as -calls 60", o.calls)
	case o.url != "" && limitGiven:
		err = errors.New("flag -limit does not go with -url, whose API has a limit of its own: leave one of them out")
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		flags.Usage()
	}
	return o, err
}
