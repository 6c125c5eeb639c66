// Command perkey serves an HTTP API whose limits are in a file, and change when that is
// saved. Run it in this folder:
//
//	go run .                       # the limits of limits.yaml, on :8080; edit the file meanwhile
//	go run . -limits other.json    # of another file
//	go run . -demo                 # call it 500 times a second, edit the file, count what is admitted
//
// newAPI and watch are what you would write in a program of your own. demo.go edits, load.go
// calls, ideal.go counts.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/keyrate/keyrate/examples/internal/serve"
	"github.com/keyrate/keyrate/middleware"
	"github.com/keyrate/keyrate/ratelimit"
	"github.com/keyrate/keyrate/ratelimit/plans/file"
	"github.com/keyrate/keyrate/store/memstore"
)

// newAPI returns an API that holds each X-API-Key to its limits of the file. Once it is made
// the file can change as often as it likes: the table stays the same one.
func newAPI(limits *file.File) (http.Handler, error) {
	limiter, err := ratelimit.New(memstore.New(memstore.Config{}), limits.Table(), ratelimit.Config{})
	if err != nil {
		return nil, err
	}
	limit, err := middleware.RateLimit(limiter, middleware.Config{Key: middleware.Header("X-API-Key")})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"hello":"world"}`+"\n")
	})
	return limit(mux), nil
}

// printTo prints a line for each event. No API key is in it, nor in the errors of a file.
func printTo(out *log.Logger) func(file.Event) {
	return func(e file.Event) {
		if e.Err != nil {
			out.Printf("the limits of version %s stay in force:\n%v", e.InForce.Hash, e.Err)
			return
		}
		out.Printf("version %s is in force after %v: %d plans, %d keys", e.InForce.Hash, e.Took, e.InForce.Plans, e.InForce.Keys)
	}
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := serve.NewFlags("perkey", "-limits other.json", stderr)
	addr := flags.String("addr", "localhost:8080", "`address` to listen on, such as :8081")
	path := flags.String("limits", "limits.yaml", "`file` of limits, YAML, or JSON if it ends in .json")
	demonstrate := flags.Bool("demo", false, "call the API, on a port of its own, edit a copy of limits.yaml meanwhile, and end")
	return serve.Run(ctx, "perkey", stderr, flags.Parse(args, nil), func(ctx context.Context) error {
		if *demonstrate {
			_, err := demo(ctx, stdout)
			return err
		}
		return serveAPI(ctx, *addr, *path, stdout)
	})
}

// serveAPI serves until ctx ends.
func serveAPI(ctx context.Context, addr, path string, stdout io.Writer) error {
	limits, err := file.Open(path, file.Config{OnReload: printTo(log.New(stdout, "", log.Ltime|log.Lmicroseconds))})
	if err != nil {
		return err
	}
	api, err := newAPI(limits)
	if err != nil {
		return err
	}
	defer watch(ctx, limits)()
	s := limits.Status()
	return serve.API(ctx, addr, api, stdout, fmt.Sprintf("Serving URL with %d plans and %d keys of %s, version %s. Edit that, or try:\n\n  curl -i -H 'X-API-Key: gold-1' URL\n",
		s.Plans, s.Keys, path, s.Hash))
}

// watch reads the file when it changes, and on SIGHUP, until stop is called.
func watch(ctx context.Context, limits *file.File) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { _ = limits.Watch(ctx) }) // its error is that ctx has ended
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	watching.Go(func() {
		defer signal.Stop(hangups)
		for {
			select {
			case <-hangups:
				_ = limits.Reload() // the event reports its error
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); watching.Wait() }
}
