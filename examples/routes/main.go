// Command routes serves an API whose routes have limits and costs of their own, beside
// those of each API key:
//
//	go run ./examples/routes                 # on :8080
//	go run ./examples/routes -addr :8081     # on another port
//	go run ./examples/routes -demo           # call each route until it is denied, and end
//
// newAPI is what you would write in a program of your own. examples/quickstart shows how to
// log decisions.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/store/memstore"
)

// newAPI returns an API of three routes. All that a key calls counts against its own two
// limits; on top of that a search costs ten tokens, and exports have a limit of their own.
func newAPI() (http.Handler, error) {
	own, err := ratelimit.NewPolicy(
		ratelimit.PerMinute(25),
		ratelimit.PerHour(1000).Named("hourly"),
	)
	if err != nil {
		return nil, err
	}
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), own, ratelimit.Config{})
	if err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "item %q\n", r.PathValue("id"))
	})
	mux.HandleFunc("GET /search", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "found nothing")
	})
	mux.HandleFunc("GET /export/{table}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "all of %q\n", r.PathValue("table"))
	})

	// The patterns are written as above; one that the mux does not know is an error. Items
	// are in no Route: they cost one token, and have no limit but the key's own.
	return middleware.Routes(limiter, mux, middleware.Config{Key: middleware.Header("X-API-Key")},
		middleware.Route{Pattern: "GET /search", Cost: 10},
		middleware.Route{Pattern: "GET /export/{table}", Limits: []ratelimit.Limit{ratelimit.PerMinute(2)}},
	)
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := serve.NewFlags("routes", "-demo", stderr)
	addr := flags.String("addr", ":8080", "`address` to listen on, such as :8081 or localhost:8080")
	isDemo := flags.Bool("demo", false, "call each route, on a port of its own, until it is denied, and end")
	return serve.Run(ctx, "routes", stderr, flags.Parse(args, nil), func(ctx context.Context) error {
		api, err := newAPI()
		if err != nil {
			return err
		}
		if *isDemo {
			return serve.Demo(ctx, api, func(ctx context.Context, url string, client *http.Client) error {
				return demo(ctx, url, client, stdout)
			})
		}
		return serve.API(ctx, *addr, api, stdout, "Serving URL. Ctrl-C ends it. Try, more than twice:\n\n  curl -i -H 'X-API-Key: alice' URLexport/orders\n")
	})
}

// demo calls the routes and prints what a caller sees of the limits.
func demo(ctx context.Context, url string, client *http.Client, out io.Writer) error {
	for _, step := range []struct {
		what, key string
		paths     []string
		last      int // the status of the last call
	}{
		{"An item costs one token.", "alice", []string{"/items/1", "/items/2"}, http.StatusOK},
		{"A search costs ten, of the same 25: the third is denied.", "bob", []string{"/search", "/search", "/search"}, http.StatusTooManyRequests},
		{"An export counts for the key, too, but no more than 2 a minute are served.", "carol", []string{"/export/orders", "/export/items", "/export/orders"}, http.StatusTooManyRequests},
		{"No spelling of the path is a way round that, and a denied call is not charged.", "carol", []string{"/%65xport/orders", "/items/1"}, http.StatusOK},
		{"What matches no pattern is not free.", "dave", []string{"/nothing"}, http.StatusNotFound},
	} {
		fmt.Fprintf(out, "%s\n\n", step.what)
		status := 0
		for _, path := range step.paths {
			var err error
			if status, err = call(ctx, client, url, path, step.key, out); err != nil {
				return err
			}
		}
		fmt.Fprintln(out)
		if status != step.last {
			return fmt.Errorf("the last answer was %d, instead of %d", status, step.last)
		}
	}
	return nil
}

// call makes one call with a key, prints the answer and returns its status.
func call(ctx context.Context, client *http.Client, url, path, key string, out io.Writer) (int, error) {
	answer, err := serve.Get(ctx, client, url+path[1:], key)
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(out, "GET %s: %s\n", path, answer.Status)
	for _, name := range []string{middleware.HeaderRateLimit, middleware.HeaderRetryAfter} {
		if value := answer.Header.Get(name); value != "" {
			fmt.Fprintf(out, "    %s: %s\n", name, value)
		}
	}
	if answer.Code == http.StatusTooManyRequests {
		fmt.Fprintf(out, "    %s\n", bytes.TrimSpace(answer.Body))
	}
	return answer.Code, nil
}
