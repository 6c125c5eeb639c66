// Command perkey serves an HTTP API whose limits are in a file, and change when that is
// saved. Run it in this folder:
//
//	go run .                       # the limits of limits.yaml, on :8080; edit the file meanwhile
//	go run . -limits other.json    # of another file
//	go run . -demo                 # call it 500 times a second, edit the file, count what is admitted
//
// api.go is what you would write in a program of your own. demo.go edits, load.go calls,
// ideal.go counts.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/keyrate/keyrate/ratelimit/plans/file"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit status: 0, 1 for what went wrong, 2 for a bad flag.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("perkey", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "localhost:8080", "`address` to listen on, such as :8081")
	path := flags.String("limits", "limits.yaml", "`file` of limits, YAML, or JSON if it ends in .json")
	demonstrate := flags.Bool("demo", false, "call the API, on a port of its own, edit a copy of limits.yaml meanwhile, and end")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "unexpected argument %q; all is said with flags, such as -limits %s\n", flags.Arg(0), flags.Arg(0))
		return 2
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	var err error
	if *demonstrate {
		_, err = demo(ctx, stdout)
	} else {
		err = serveAPI(ctx, *addr, *path, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "perkey:", err)
		return 1
	}
	return 0
}

// serveAPI serves until ctx ends. SIGHUP has the file read at once.
func serveAPI(ctx context.Context, addr, path string, stdout io.Writer) error {
	limits, err := file.Open(path, file.Config{OnReload: printTo(log.New(stdout, "", log.Ltime|log.Lmicroseconds))})
	if err != nil {
		return err
	}
	api, err := newAPI(limits)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("flag -addr %s: %w; choose another address, such as -addr :8081", addr, err)
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	ctx, cancel := context.WithCancel(ctx)
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		for {
			select {
			case <-hangups:
				_ = limits.Reload() // the event tells its error
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() { cancel(); <-reloaded }()
	s := limits.Status()
	fmt.Fprintf(stdout, "Serving http://%s/ with %d plans and %d keys of %s, version %s. Edit that, or try:\n\n  curl -i -H 'X-API-Key: gold-1' http://%s/\n\n",
		listener.Addr(), s.Plans, s.Keys, path, s.Hash, listener.Addr())
	return serve(ctx, listener, api, limits)
}

// serve answers on listener, and watches the file, until ctx ends. The calls that are under
// way come to their end.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, limits *file.File) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan error, 1)
	go func() { watched <- limits.Watch(watching) }()
	defer func() { stopWatching(); <-watched }() //nolint:errcheck // it says that its context ended
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
