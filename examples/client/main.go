// Command client lets twenty workers call an API that is limited to 5 requests per
// second, first with an http.Client that tries again after a denial, as people write it by
// hand, then with one on middleware/transport, and prints the outcome of the calls:
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
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "client", stderr, err, func(ctx context.Context) error {
		if o.url != "" {
			return demonstrate(ctx, "the API that -url names", o, stdout)
		}
		api, err := newAPI(o.limit)
		if err != nil {
			return err
		}
		return serve.Demo(ctx, api, func(ctx context.Context, url string, _ *http.Client) error {
			o.url = url
			return demonstrate(ctx, "an API that is limited to "+o.limit.String(), o, stdout)
		})
	})
}

// demonstrate calls the API, and says which one it is.
func demonstrate(ctx context.Context, which string, o options, out io.Writer) error {
	fmt.Fprintf(out, "%d workers share one key of %s, and make %d calls.\n\n", o.workers, which, o.calls)
	base := &http.Transport{MaxIdleConnsPerHost: o.workers, ResponseHeaderTimeout: 10 * time.Second}
	defer base.CloseIdleConnections()
	return compare(ctx, base, o, out)
}

// newAPI returns an API with a limit for each X-API-Key.
func newAPI(limit ratelimit.Limit) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limit, ratelimit.Config{})
	if err != nil {
		return nil, err
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		return nil, err
	}
	return limited(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "hello\n")
	})), nil
}

type options struct {
	url            string
	limit          ratelimit.Limit
	workers, calls int
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("client", "-workers 5", stderr)
	flags.StringVar(&o.url, "url", "", "the `URL` of an API that takes any X-API-Key; without it, one runs in this program")
	flags.TextVar(&o.limit, "limit", ratelimit.PerSecond(5), "the `limit` of the API in this program, such as 5/s or 100/1m;burst=10")
	flags.IntVar(&o.workers, "workers", 20, "how `many` workers call")
	flags.IntVar(&o.calls, "calls", 60, "how `many` calls they make together, each time")
	err = flags.Parse(args, func() error {
		switch {
		case o.workers < 1:
			return fmt.Errorf("invalid value %d for flag -workers: must be at least 1, such as -workers 20", o.workers)
		case o.calls < 1:
			return fmt.Errorf("invalid value %d for flag -calls: must be at least 1, such as -calls 60", o.calls)
		case o.url != "" && flags.Given("limit"):
			return errors.New("flag -limit does not go with -url, whose API has a limit of its own: leave one of them out")
		}
		return nil
	})
	return o, err
}
