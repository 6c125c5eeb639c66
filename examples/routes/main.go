// Command routes serves an API whose routes have limits and costs of their own, beside
// those of each API key:
//
//	go run ./examples/routes                 # on :8080
//	go run ./examples/routes -addr :8081     # on another port
//	go run ./examples/routes -demo           # call each route until it is refused, and end
//
// api.go is what you would write in a program of your own; demo.go is the caller. How to
// find the limits of a key, and how to log decisions, is shown in examples/quickstart.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0, 1 for what went wrong, 2 for a bad flag.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("routes", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", ":8080", "`address` to listen on, such as :8081 or localhost:8080")
	isDemo := flags.Bool("demo", false, "call each route, on a port of its own, until it is refused, and end")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2 // Parse has said why
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "unexpected argument %q; all is said with flags, such as -demo\n", flags.Arg(0))
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	var err error
	if *isDemo {
		err = demo(ctx, stdout)
	} else {
		err = serveAPI(ctx, *addr, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "routes:", err)
		return 1
	}
	return 0
}

// serveAPI serves until ctx ends.
func serveAPI(ctx context.Context, addr string, stdout io.Writer) error {
	api, err := newAPI()
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("flag -addr %s: %w; choose another address, such as -addr :8081", addr, err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	fmt.Fprintf(stdout, "Serving on port %s. Ctrl-C ends it. Try, more than twice:\n\n  curl -i -H 'X-API-Key: alice' http://localhost:%s/export/orders\n\n", port, port)
	return serve(ctx, listener, api)
}

// serve answers on listener until ctx ends, and then lets the calls that are under way
// come to their end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}
