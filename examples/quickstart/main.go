// Command quickstart serves an HTTP API that is limited for each API key:
//
//	go run ./examples/quickstart                 # 5 requests per second per X-API-Key, on localhost:8080
//	go run ./examples/quickstart -limit 100/1m   # another limit
//	go run ./examples/quickstart -demo           # call it until it is refused, wait as told, succeed
//
// api.go is what you would write in a program of your own. decisions.go prints a
// line for each decision, demo.go is the caller.
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
	"strings"
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
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if o.demo {
		err = demo(ctx, o.limit, stdout)
	} else {
		err = serveAPI(ctx, o, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
		return 1
	}
	return 0
}

type options struct {
	addr  string
	limit ratelimit.Limit
	demo  bool
}

// parse reads the flags. What is wrong with them, it tells stderr.
func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.addr, "addr", "localhost:8080", "`address` to listen on, such as localhost:8081, or :8080 for other machines as well")
	flags.TextVar(&o.limit, "limit", ratelimit.PerSecond(5), "the `limit` of each key, such as 5/s, 100/1m or 1000/24h;burst=50")
	flags.BoolVar(&o.demo, "demo", false, "call the API, on a port of its own, until it is refused; wait as told, succeed and end")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	fail := func(format string, args ...any) (options, error) {
		err := fmt.Errorf(format, args...)
		fmt.Fprintln(stderr, err)
		flags.Usage()
		return o, err
	}
	if flags.NArg() > 0 {
		return fail("unexpected argument %q; all is said with flags, such as -limit 100/1m", flags.Arg(0))
	}
	if _, _, err := net.SplitHostPort(o.addr); err != nil {
		return fail("invalid value %q for flag -addr: must be HOST:PORT or :PORT, such as -addr localhost:8081", o.addr)
	}
	addrGiven := false
	flags.Visit(func(f *flag.Flag) { addrGiven = addrGiven || f.Name == "addr" })
	if o.demo && addrGiven {
		return fail("flag -addr does not go with -demo, which takes a free port: leave one of them out")
	}
	return o, nil
}

// serveAPI serves until ctx ends.
func serveAPI(ctx context.Context, o options, stdout io.Writer) error {
	api, err := newAPI(o.limit, log.New(stdout, "", log.Ltime|log.Lmicroseconds))
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("flag -addr %s: %w; choose another address, such as -addr localhost:8081", o.addr, err)
	}
	burst := o.limit.Burst
	if burst == 0 {
		burst = o.limit.Rate
	}
	url := "http://" + reachable(o.addr, listener.Addr()) + "/"
	fmt.Fprintf(stdout, `Serving %s with a limit of %s for each X-API-Key. Ctrl-C ends it. Try:

  curl -i -H 'X-API-Key: alice' %s
  for i in $(seq %d); do curl -s -o /dev/null -w '%%{http_code}\n' -H 'X-API-Key: alice' %s; done

`, url, o.limit, url, burst+3, url)
	if err := serve(ctx, listener, api); err != nil {
		return err
	}
	fmt.Fprintln(stdout, "Shut down.")
	return nil
}

// reachable returns an address by which a caller on this machine finds the listener on addr.
func reachable(addr string, a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if ok && (tcp.IP.IsUnspecified() || strings.HasPrefix(addr, "localhost:")) {
		return fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return a.String()
}

// serve answers on listener until ctx ends, and then lets the calls that are under
// way come to their end.
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
