// Command quickstart serves an HTTP API that is limited for each API key:
//
//	go run ./examples/quickstart                 # 5 requests per second per X-API-Key, on localhost:8080
//	go run ./examples/quickstart -limit 100/1m   # another limit
//	go run ./examples/quickstart -demo           # call it until it is denied, wait as it says, succeed
//
// newAPI is what you would write in a program of your own.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store"
	"github.com/keyrate/keyrate/store/memstore"
)

// keyHeader has the key of a request. A request without one is limited by its address.
const keyHeader = "X-API-Key"

// newAPI returns the API: all of it is behind the limit, except the health check. Each
// decision becomes a line in decisions.
func newAPI(limit ratelimit.Limit, decisions *log.Logger) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limit, ratelimit.Config{Observe: printTo(decisions)})
	if err != nil {
		return nil, err
	}
	limited, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header(keyHeader)})
	if err != nil {
		return nil, err
	}

	api := http.NewServeMux()
	api.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"hello":"world"}`+"\n")
	})

	mux := http.NewServeMux()
	mux.Handle("/", serve.Labelled(keyHeader, limited(api)))
	// A load balancer's checks must neither use up a limit nor be denied. In production,
	// serve them where strangers cannot call them.
	mux.Handle("/healthz", middleware.Health(limiter))
	return mux, nil
}

// printTo returns an observer that prints each decision. An event does not hold the key, so
// the label of the caller comes from the context.
func printTo(decisions *log.Logger) func(context.Context, ratelimit.Event) {
	return func(ctx context.Context, e ratelimit.Event) {
		r, who := e.Result, serve.Label(ctx)
		switch {
		case e.Err != nil:
			decisions.Printf("%s  undecided: %s", who, store.ErrorClass(e.Err))
		case r.Allowed:
			decisions.Printf("%s  allowed  %d of %d left", who, r.Remaining(), r.Limit().Burst)
		default:
			decisions.Printf("%s  denied   %d of %d left, retry after %v", who, r.Remaining(), r.Limit().Burst, r.RetryAfter())
		}
	}
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	return serve.Run(ctx, "quickstart", stderr, err, func(ctx context.Context) error { return o.run(ctx, stdout) })
}

type options struct {
	addr  string
	limit ratelimit.Limit
	demo  bool
}

func parse(args []string, stderr io.Writer) (o options, err error) {
	flags := serve.NewFlags("quickstart", "-limit 100/1m", stderr)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "`address` to listen on, such as localhost:8081, or :8080 for other machines as well")
	flags.TextVar(&o.limit, "limit", ratelimit.PerSecond(5), "the `limit` of each key, such as 5/s, 100/1m or 1000/24h;burst=50")
	flags.BoolVar(&o.demo, "demo", false, "call the API, on a port of its own, until it is denied; wait as it says, succeed and end")
	err = flags.Parse(args, func() error {
		if o.demo && flags.Given("addr") {
			return errors.New("flag -addr does not go with -demo, which takes a free port: leave one of them out")
		}
		return serve.CheckAddr(o.addr)
	})
	return o, err
}

func (o options) run(ctx context.Context, stdout io.Writer) error {
	decisions := log.New(stdout, "", log.Ltime|log.Lmicroseconds)
	if o.demo {
		decisions.SetOutput(io.Discard)
	}
	api, err := newAPI(o.limit, decisions)
	if err != nil {
		return err
	}
	if o.demo {
		return serve.Demo(ctx, api, func(ctx context.Context, url string, client *http.Client) error {
			fmt.Fprintf(stdout, "GET %s with one X-API-Key, limited to %s\n\n", url, o.limit)
			return serve.UntilDenied(ctx, client, url, stdout)
		})
	}
	return serve.API(ctx, o.addr, api, stdout, fmt.Sprintf(`Serving URL with a limit of %s for each X-API-Key. Ctrl-C ends it. Try:

  curl -i -H 'X-API-Key: alice' URL
  for i in $(seq %d); do curl -s -o /dev/null -w '%%{http_code}\n' -H 'X-API-Key: alice' URL; done
`, o.limit, cmp.Or(o.limit.Burst, o.limit.Rate)+3))
}
